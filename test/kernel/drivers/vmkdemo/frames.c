/*
 * frames.c: functions whose stack frames differ in every way that unwind data can say: saved registers, SSE registers
 * among them, a frame register, more than a page of locals, tail calls, leaves. Optimised; compiled with SSE, so on
 * threads only. VmkDemoFrames runs through all of them; a test steps it.
 */
#include "shapes.h"

volatile ULONG VmkDemoFramesResult;

/* A leaf: no frame, no unwind data. */
static DECLSPEC_NOINLINE ULONG Leaf(ULONG A, ULONG B) { return (A ^ B) * 0x01000193u; }

/* Ends in a jump to another function, once from a frame of its own. */
static DECLSPEC_NOINLINE ULONG TailOfLeaf(ULONG A) { return Leaf(A + 1, 0x55); }

static DECLSPEC_NOINLINE ULONG TailOfFrame(ULONG A, ULONG B)
{
  ULONG First = Leaf(A, B);
  if (First & 1) return TailOfLeaf(First ^ A);
  return Leaf(First, B ^ A);
}

/* Every register that a callee keeps is in use across calls. */
static DECLSPEC_NOINLINE ULONG ManySaved(ULONG A, ULONG B, ULONG C, ULONG D)
{
  ULONG E = Leaf(A, B), F = Leaf(B, C), G = Leaf(C, D), H = TailOfLeaf(D);
  ULONG I = TailOfFrame(A, E), J = TailOfFrame(B + 1, F);
  return Leaf(A + B + C + D, E + F) ^ Leaf(G + H, I + J) ^ (A * E + B * F + C * G + D * H);
}

static DECLSPEC_NOINLINE double Half(double Value, ULONG Steps) { return Steps > 2 ? Value * 0.5 : Value * 0.25; }

/* SSE registers that a callee keeps. */
static DECLSPEC_NOINLINE double SavedXmm(double A, double B, double C, ULONG Steps)
{
  double Sum = 0.0;
  for (ULONG I = 0; I < Steps; I++) {
    Sum += Half(A, I) * B;
    A += C;
  }
  return Sum * A + Half(Sum, Steps) * C;
}

static DECLSPEC_NOINLINE ULONG SumOf(const volatile ULONG *Words, ULONG Count)
{
  ULONG Sum = 0;
  for (ULONG I = 0; I < Count; I++) Sum += Leaf(Words[I], I);
  return Sum;
}

/* A frame whose size is known at run time only: it needs a frame register. */
static DECLSPEC_NOINLINE ULONG Dynamic(ULONG Count)
{
  volatile ULONG *Words = __builtin_alloca(Count * sizeof(ULONG));
  for (ULONG I = 0; I < Count; I++) Words[I] = I * Count;
  return SumOf(Words, Count) + Count;
}

/* More than a page of locals; the compiler is told not to probe them. */
static DECLSPEC_NOINLINE ULONG Large(ULONG Count)
{
  volatile ULONG Words[1100];
  for (ULONG I = 0; I < Count; I++) Words[I * 100] = Count + I;
  Words[1] = SumOf(Words, 2);
  return Words[1] + Words[100];
}

ULONG VmkDemoFrames(ULONG Round)
{
  ULONG Sum = ManySaved(Round, Round + 1, Round + 2, Round + 3);
  Sum += (ULONG)SavedXmm(Round & 15, 1.5, 2.5, 3);
  Sum += Dynamic(3 + (Round & 1));
  Sum += Large(3);
  VmkDemoFramesResult = Sum;
  return TailOfFrame(Sum, Round);
}
