/*
 * crc.c: CRC-32, eight bytes at a time: Table[n][b] is what byte b does to the sum n bytes further on.
 *
 * Invariant: reads no byte outside [Bytes, Bytes + Length).
 */
#include "crc.h"

#define POLYNOMIAL 0xEDB88320u /* reflected */

static ULONG Table[8][256];

VOID CrcInitialize(VOID)
{
  for (ULONG Byte = 0; Byte < 256; Byte++) {
    ULONG Sum = Byte;

    for (ULONG Bit = 0; Bit < 8; Bit++) Sum = Sum >> 1 ^ (Sum & 1 ? POLYNOMIAL : 0);
    Table[0][Byte] = Sum;
  }
  for (ULONG Further = 1; Further < 8; Further++)
    for (ULONG Byte = 0; Byte < 256; Byte++) {
      ULONG Sum = Table[Further - 1][Byte];

      Table[Further][Byte] = Sum >> 8 ^ Table[0][Sum & 0xFF];
    }
}

static ULONG Word(const UCHAR *Bytes)
{
  return Bytes[0] | (ULONG)Bytes[1] << 8 | (ULONG)Bytes[2] << 16 | (ULONG)Bytes[3] << 24;
}

ULONG CrcAdd(ULONG Crc, const VOID *Bytes, ULONG Length)
{
  const UCHAR *At = Bytes;

  Crc = ~Crc;
  for (; Length >= 8; Length -= 8, At += 8) {
    ULONG First = Word(At) ^ Crc, Second = Word(At + 4);

    Crc = Table[7][First & 0xFF] ^ Table[6][First >> 8 & 0xFF] ^ Table[5][First >> 16 & 0xFF] ^
          Table[4][First >> 24] ^ Table[3][Second & 0xFF] ^ Table[2][Second >> 8 & 0xFF] ^
          Table[1][Second >> 16 & 0xFF] ^ Table[0][Second >> 24];
  }
  while (Length--) Crc = Crc >> 8 ^ Table[0][(Crc ^ *At++) & 0xFF];
  return ~Crc;
}
