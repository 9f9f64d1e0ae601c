/*
 * format.c: printf for the kernel: %d %i %u %x %X %p %c %s %ls %wZ %Z with width, zero and left flags, precision for
 * strings, l ll I64 z sizes. The result is always terminated and never longer than the buffer.
 */
#include "ki.h"

typedef struct _SINK {
  PCHAR At, End;
} SINK;

static VOID Put(SINK *Sink, CHAR C)
{
  if (Sink->At < Sink->End) *Sink->At++ = C;
}

static VOID Pad(SINK *Sink, LONG Count, CHAR C)
{
  while (Count-- > 0) Put(Sink, C);
}

static VOID PutNumber(SINK *Sink, ULONG64 Value, ULONG Base, BOOLEAN Upper, BOOLEAN Negative, LONG Width, CHAR Fill,
                      BOOLEAN Left)
{
  CHAR Digits[24];
  LONG Count = 0;
  do {
    Digits[Count++] = (Upper ? "0123456789ABCDEF" : "0123456789abcdef")[Value % Base];
  } while (Value /= Base);
  LONG Total = Count + Negative;
  if (!Left && Fill == ' ') Pad(Sink, Width - Total, ' ');
  if (Negative) Put(Sink, '-');
  if (!Left && Fill == '0') Pad(Sink, Width - Total, '0');
  while (Count) Put(Sink, Digits[--Count]);
  if (Left) Pad(Sink, Width - Total, ' ');
}

static VOID PutText(SINK *Sink, PCSTR Text, PCWSTR Wide, LONG Length, LONG Width, BOOLEAN Left)
{
  if (!Left) Pad(Sink, Width - Length, ' ');
  for (LONG I = 0; I < Length; I++) Put(Sink, Text ? Text[I] : Wide[I] < 0x7F ? (CHAR)Wide[I] : '?');
  if (Left) Pad(Sink, Width - Length, ' ');
}

int RtlFormat(PCHAR Buffer, SIZE_T Size, PCSTR Format, __builtin_va_list Arguments)
{
  if (Size == 0) return 0;
  SINK Sink = {Buffer, Buffer + Size - 1};
  for (; *Format; Format++) {
    if (*Format != '%') {
      Put(&Sink, *Format);
      continue;
    }
    BOOLEAN Left = FALSE;
    CHAR Fill = ' ';
    LONG Width = 0, Precision = -1;
    ULONG Long = 0;
    for (Format++; *Format == '-' || *Format == '0' || *Format == '#' || *Format == '+'; Format++) {
      Left |= *Format == '-';
      if (*Format == '0') Fill = '0';
    }
    for (; *Format >= '0' && *Format <= '9'; Format++) Width = min(Width * 10 + (*Format - '0'), 200);
    if (*Format == '.')
      for (Format++, Precision = 0; *Format >= '0' && *Format <= '9'; Format++)
        Precision = min(Precision * 10 + (*Format - '0'), 4096);
    for (;; Format++) {
      if (*Format == 'l') Long++;
      else if (*Format == 'z') Long = 2;
      else if (Format[0] == 'I' && Format[1] == '6' && Format[2] == '4') Long = 2, Format += 2;
      else if (*Format == 'w') Long = 1;
      else break;
    }
    switch (*Format) {
    case 'd':
    case 'i': {
      LONG64 Value = Long >= 2 ? __builtin_va_arg(Arguments, LONG64) : __builtin_va_arg(Arguments, LONG);
      PutNumber(&Sink, Value < 0 ? 0 - (ULONG64)Value : (ULONG64)Value, 10, FALSE, Value < 0, Width, Fill, Left);
      break;
    }
    case 'u':
    case 'x':
    case 'X': {
      ULONG64 Value = Long >= 2 ? __builtin_va_arg(Arguments, ULONG64) : __builtin_va_arg(Arguments, ULONG);
      PutNumber(&Sink, Value, *Format == 'u' ? 10 : 16, *Format == 'X', FALSE, Width, Fill, Left);
      break;
    }
    case 'p':
      PutNumber(&Sink, __builtin_va_arg(Arguments, ULONG64), 16, TRUE, FALSE, 16, '0', FALSE);
      break;
    case 'c':
      Put(&Sink, (CHAR)__builtin_va_arg(Arguments, int));
      break;
    case 's': {
      LONG Length = 0;
      if (Long) {
        PCWSTR Wide = __builtin_va_arg(Arguments, PCWSTR);
        if (!Wide) Wide = L"(null)";
        while (Wide[Length] && (Precision < 0 || Length < Precision)) Length++;
        PutText(&Sink, NULL, Wide, Length, Width, Left);
      } else {
        PCSTR Text = __builtin_va_arg(Arguments, PCSTR);
        if (!Text) Text = "(null)";
        while (Text[Length] && (Precision < 0 || Length < Precision)) Length++;
        PutText(&Sink, Text, NULL, Length, Width, Left);
      }
      break;
    }
    case 'Z':
      if (Long) {
        PUNICODE_STRING String = __builtin_va_arg(Arguments, PUNICODE_STRING);
        PutText(&Sink, NULL, String->Buffer, String->Length / 2, Width, Left);
      } else {
        PSTRING String = __builtin_va_arg(Arguments, PSTRING);
        PutText(&Sink, String->Buffer, NULL, String->Length, Width, Left);
      }
      break;
    case '\0':
      Format--;
      break;
    default:
      Put(&Sink, *Format);
    }
  }
  *Sink.At = 0;
  return (int)(Sink.At - Buffer);
}

int RtlPrint(PCHAR Buffer, SIZE_T Size, PCSTR Format, ...)
{
  __builtin_va_list Arguments;
  __builtin_va_start(Arguments, Format);
  int Length = RtlFormat(Buffer, Size, Format, Arguments);
  __builtin_va_end(Arguments);
  return Length;
}

VOID ConsolePrint(PCSTR Format, ...)
{
  CHAR Text[512];
  __builtin_va_list Arguments;
  __builtin_va_start(Arguments, Format);
  int Length = RtlFormat(Text, sizeof(Text), Format, Arguments);
  __builtin_va_end(Arguments);
  HalpConsoleWrite(Text, (SIZE_T)Length);
}

BOOLEAN RtlEqualAnsi(PCSTR A, PCSTR B)
{
  for (;; A++, B++) {
    CHAR X = *A >= 'A' && *A <= 'Z' ? *A + 32 : *A, Y = *B >= 'A' && *B <= 'Z' ? *B + 32 : *B;
    if (X != Y) return FALSE;
    if (!X) return TRUE;
  }
}

VOID RtlInitUnicodeString(PUNICODE_STRING Destination, PCWSTR Source)
{
  ULONG Length = 0;
  while (Source && Source[Length] && Length < 0x7FFE) Length++;
  *Destination = (UNICODE_STRING){(USHORT)(Length * 2), (USHORT)(Length * 2 + 2), (PWSTR)Source};
}

VOID RtlInitAnsiString(PSTRING Destination, PCSTR Source)
{
  ULONG Length = 0;
  while (Source && Source[Length] && Length < 0xFFFE) Length++;
  *Destination = (STRING){(USHORT)Length, (USHORT)(Length + 1), (PCHAR)Source};
}

BOOLEAN RtlEqualUnicodeString(PUNICODE_STRING A, PUNICODE_STRING B, BOOLEAN IgnoreCase)
{
  if (A->Length != B->Length) return FALSE;
  for (ULONG I = 0; I < A->Length / 2u; I++) {
    WCHAR X = A->Buffer[I], Y = B->Buffer[I];
    if (IgnoreCase && X >= 'A' && X <= 'Z') X += 32;
    if (IgnoreCase && Y >= 'A' && Y <= 'Z') Y += 32;
    if (X != Y) return FALSE;
  }
  return TRUE;
}
