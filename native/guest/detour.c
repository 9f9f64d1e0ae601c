/*
 * detour.c: see detour.h. Knows the instructions that compilers begin functions with; any other is refused, so that what
 * it does not know it does not copy.
 *
 *   instruction   [66 F2 F3]… [REX] opcode [ModRM [SIB] [displacement]] [immediate]
 *
 * Invariant: reads Length bytes of Code at most, writes DETOUR_LONGEST_START bytes of Copy at most.
 */
#include "detour.h"

typedef struct _INSTRUCTION {
  ULONG Length;
  ULONG Displacement; /* where a displacement that is relative to the instruction's end lies; 0: there is none */
} INSTRUCTION;

/* What follows an opcode. */
enum {
  None = 1,
  ModRm = 2,
  Byte = 4,
  Word32 = 8,  /* 16 bits with prefix 66 */
  Word64 = 16, /* 64 with REX.W */
  Digit0 = 32, /* the middle of ModRM is 0: else it is another instruction, or none */
  Memory = 64, /* ModRM names memory, no register */
};

static ULONG OneByteOpcode(UCHAR Op)
{
  if (Op < 0x40 && (Op & 7) < 4) return ModRm; /* add, or, adc, sbb, and, sub, xor, cmp */
  if (Op >= 0x50 && Op <= 0x5F) return None;   /* push, pop */
  if (Op >= 0xB0 && Op <= 0xB7) return Byte;   /* mov r8, imm8 */
  if (Op >= 0xB8 && Op <= 0xBF) return Word64; /* mov r, imm */
  switch (Op) {
  case 0x63: /* movsxd */
  case 0x84: /* test */
  case 0x85:
  case 0x88: /* mov */
  case 0x89:
  case 0x8A:
  case 0x8B:
    return ModRm;
  case 0x8D: /* lea */
    return ModRm | Memory;
  case 0x80: /* add … cmp r/m8, imm8 */
  case 0x83: /* add … cmp r/m, imm8 */
    return ModRm | Byte;
  case 0xC6: /* mov r/m8, imm8 */
    return ModRm | Digit0 | Byte;
  case 0x81: /* add … cmp r/m, imm */
    return ModRm | Word32;
  case 0xC7: /* mov r/m, imm; as xbegin it would jump */
    return ModRm | Digit0 | Word32;
  case 0x6A: /* push imm8 */
    return Byte;
  case 0x68: /* push imm */
    return Word32;
  case 0x90: /* nop */
    return None;
  default:
    return 0;
  }
}

static ULONG TwoByteOpcode(UCHAR Op, BOOLEAN Repeat)
{
  if (Repeat && Op != 0x10 && Op != 0x11 && Op != 0x1E) return 0; /* movss, movsd, endbr64 */
  if (Op >= 0x40 && Op <= 0x4F) return ModRm; /* cmovcc */
  switch (Op) {
  case 0x10: /* movups, movaps */
  case 0x11:
  case 0x28:
  case 0x29:
  case 0x57: /* xorps */
  case 0x1E: /* endbr64 */
  case 0x1F: /* nop */
  case 0xB6: /* movzx */
  case 0xB7:
  case 0xBE: /* movsx */
  case 0xBF:
    return ModRm;
  default:
    return 0;
  }
}

/* FALSE if it is not known, or does not end within Length bytes. */
static BOOLEAN Decode(const UCHAR *Code, ULONG Length, BOOLEAN Is64, INSTRUCTION *Instruction)
{
  ULONG At = 0, What;
  BOOLEAN Short = FALSE, Repeat = FALSE, Wide = FALSE;

  *Instruction = (INSTRUCTION){0};
  while (At < Length && At < 3 && (Code[At] == 0x66 || Code[At] == 0xF2 || Code[At] == 0xF3)) {
    if (Code[At++] == 0x66) Short = TRUE;
    else Repeat = TRUE;
  }
  if (Is64 && At < Length && Code[At] >= 0x40 && Code[At] <= 0x4F) Wide = Code[At++] >> 3 & 1;
  if (At >= Length) return FALSE;
  if (Code[At] == 0x0F) {
    if (++At >= Length) return FALSE;
    What = TwoByteOpcode(Code[At++], Repeat);
  } else {
    What = Repeat ? 0 : OneByteOpcode(Code[At++]);
  }
  if (!What) return FALSE;
  if (What & ModRm) {
    UCHAR Mod, Rm;

    if (At >= Length) return FALSE;
    Mod = Code[At] >> 6;
    if ((What & Digit0 && Code[At] >> 3 & 7) || (What & Memory && Mod == 3)) return FALSE;
    Rm = Code[At++] & 7;
    if (Mod != 3 && Rm == 4) {
      if (At >= Length) return FALSE;
      if (Mod == 0 && (Code[At] & 7) == 5) Mod = 2; /* no base, but a displacement */
      At++;
    } else if (Mod == 0 && Rm == 5) {
      if (Is64) Instruction->Displacement = At;
      Mod = 2;
    }
    At += Mod == 1 ? 1 : Mod == 2 ? 4 : 0;
  }
  if (What & Byte) At += 1;
  if (What & Word32) At += Short && !Wide ? 2 : 4;
  if (What & Word64) At += Wide ? 8 : Short ? 2 : 4;
  Instruction->Length = At;
  return At <= Length;
}

static BOOLEAN FitsIn32(LONG64 Value)
{
  return Value >= INT32_MIN && Value <= INT32_MAX;
}

static VOID Put(UCHAR *Bytes, ULONG64 Value, ULONG Count)
{
  for (ULONG I = 0; I < Count; I++) Bytes[I] = (UCHAR)(Value >> I * 8);
}

ULONG DetourJump(UCHAR Jump[DETOUR_JUMP_BYTES], ULONG64 From, ULONG64 To, BOOLEAN Is64)
{
  LONG64 Distance = (LONG64)(To - (From + 5));

  if (!Is64 || FitsIn32(Distance)) {
    Jump[0] = 0xE9;
    Put(Jump + 1, (ULONG64)Distance, 4);
    return 5;
  }
  Jump[0] = 0xFF; /* jmp [rip + 0], and the address behind it */
  Jump[1] = 0x25;
  Put(Jump + 2, 0, 4);
  Put(Jump + 6, To, 8);
  return 14;
}

ULONG DetourCopy(const UCHAR *Code, ULONG Length, ULONG64 Address, ULONG Needed, UCHAR Copy[DETOUR_LONGEST_START],
                 ULONG64 CopyAddress, BOOLEAN Is64)
{
  ULONG Done = 0;

  if (Needed > DETOUR_JUMP_BYTES) return 0;
  while (Done < Needed) {
    INSTRUCTION Instruction;

    if (!Decode(Code + Done, Length - Done, Is64, &Instruction)) return 0;
    if (Instruction.Length > DETOUR_LONGEST_START - Done) return 0;
    for (ULONG I = 0; I < Instruction.Length; I++) Copy[Done + I] = Code[Done + I];
    if (Instruction.Displacement) {
      UCHAR *Field = Copy + Done + Instruction.Displacement;
      ULONG Old = Field[0] | (ULONG)Field[1] << 8 | (ULONG)Field[2] << 16 | (ULONG)Field[3] << 24;
      LONG64 New = (LONG)Old + (LONG64)(Address - CopyAddress);

      if (!FitsIn32(New)) return 0;
      Put(Field, (ULONG64)New, 4);
    }
    Done += Instruction.Length;
  }
  return Done;
}
