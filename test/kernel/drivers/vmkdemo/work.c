/*
 * work.c: unoptimised code to step through: loops, calls three deep, recursion, lists, unions, bitfields.
 * VmkDemoWork runs about ten times a second on a system thread of the driver.
 */
#include "shapes.h"

ULONG64 VmkDemoCounter;
volatile ULONG64 VmkDemoWatched;
ULONG64 VmkDemoWorkCalls;
VMK_LARGE VmkDemoLarge;
LIST_ENTRY VmkDemoNodes = {&VmkDemoNodes, &VmkDemoNodes};
static VMK_NODE Nodes[5];
static VMK_TREE Tree[7];

ULONG VmkDemoFibonacci(ULONG N)
{
  if (N < 2) return N;
  return VmkDemoFibonacci(N - 1) + VmkDemoFibonacci(N - 2);
}

static ULONG Twice(ULONG Value) { return Value * 2; }
static ULONG Negate(ULONG Value) { return ~Value + 1; }

static ULONG Innermost(ULONG Value)
{
  VMK_VALUE Union;
  Union.Quad = (ULONG64)Value * 0x100000001ull;
  Union.Bytes[1] ^= 0x5A;
  return Union.Low + Union.High;
}

static ULONG Middle(ULONG Value, PVMK_NODE Node)
{
  ULONG Sum = Innermost(Value);
  Node->Flags.Priority = Value & 31;
  Node->Flags.Signed = -(LONG)(Value & 15);
  Node->Flags.Busy = !Node->Flags.Busy;
  for (ULONG I = 0; I < RTL_NUMBER_OF(Node->Corners); I++) {
    Node->Corners[I].X += (LONG)I;
    Sum += (ULONG)(Node->Corners[I].X - Node->Corners[I].Y);
  }
  return Sum;
}

static ULONG Outer(ULONG Value)
{
  ULONG Sum = 0;
  for (PLIST_ENTRY Link = VmkDemoNodes.Flink; Link != &VmkDemoNodes; Link = Link->Flink) {
    PVMK_NODE Node = CONTAINING_RECORD(Link, VMK_NODE, Link);
    Sum += Node->Transform(Middle(Value + Node->Id, Node));
    switch (Node->Colour) {
    case VmkRed: Sum += 1; break;
    case VmkGreen: Sum += 2; break;
    case VmkBlue: Sum += 3; break;
    case VmkNoColour: break;
    }
  }
  return Sum;
}

static ULONG TreeSum(PVMK_TREE Node) { return Node ? Node->Key + TreeSum(Node->Left) + TreeSum(Node->Right) : 0; }

ULONG VmkDemoWork(ULONG Value)
{
  UCHAR Bytes[32];
  ULONG Total = 0;
  VmkDemoWorkCalls++;
  for (ULONG I = 0; I < sizeof(Bytes); I++) Bytes[I] = (UCHAR)(Value + I);
  Total += VmkDemoChecksum(Bytes, sizeof(Bytes));
  Total += Outer(Value & 0xFF);
  Total += VmkDemoFibonacci(6);
  Total += TreeSum(Tree);
  VmkDemoLarge.Alpha0 = Value;
  VmkDemoLarge.Lima9 = Total;
  return Total;
}

VOID VmkBuildNodes(VOID)
{
  static const VMK_COLOUR Colours[] = {VmkRed, VmkGreen, VmkBlue, VmkNoColour, VmkRed};
  static const CHAR Names[][6] = {"alpha", "bravo", "chuck", "delta", "echo"};
  InitializeListHead(&VmkDemoNodes);
  for (ULONG I = 0; I < RTL_NUMBER_OF(Nodes); I++) {
    PVMK_NODE Node = &Nodes[I];
    Node->Id = I + 1;
    Node->Colour = Colours[I];
    Node->Value.Quad = 0x1122334455667788ull + I;
    Node->Flags.Ready = 1;
    Node->Flags.Tail = 0xABCD;
    Node->Flags.Wide = 0x123456789Aull;
    Node->Transform = I % 2 ? Negate : Twice;
    for (ULONG C = 0; C < 5; C++) {
      Node->Name[C] = Names[I][C];
      Node->WideName[C] = (WCHAR)Names[I][C];
    }
    for (ULONG C = 0; C < RTL_NUMBER_OF(Node->Corners); C++) Node->Corners[C] = (VMK_POINT){(LONG)C, -(LONG)I};
    InsertTailList(&VmkDemoNodes, &Node->Link);
  }
  for (ULONG I = 0; I < RTL_NUMBER_OF(Tree); I++) {
    Tree[I].Key = I;
    Tree[I].Left = 2 * I + 1 < RTL_NUMBER_OF(Tree) ? &Tree[2 * I + 1] : NULL;
    Tree[I].Right = 2 * I + 2 < RTL_NUMBER_OF(Tree) ? &Tree[2 * I + 2] : NULL;
  }
  VmkDemoLarge.Size = sizeof(VmkDemoLarge);
  VmkDemoLarge.Self = &VmkDemoLarge;
  VmkDemoLarge.Node = Nodes[0];
}
