/*
 * unwind.c: stack unwinding by .pdata/.xdata, and frame-based exception handling (__try/__except/__finally) on it.
 *
 * Tables are those of loaded images; a walk stops at a frame outside the current thread's stack, at a function
 * without a module, and after MAXIMUM_FRAMES.
 */
#include "ki.h"

#define MAXIMUM_FRAMES 64

#define UNW_FLAG_EHANDLER 1
#define UNW_FLAG_UHANDLER 2
#define UNW_FLAG_CHAININFO 4

enum {
  UWOP_PUSH_NONVOL = 0,
  UWOP_ALLOC_LARGE = 1,
  UWOP_ALLOC_SMALL = 2,
  UWOP_SET_FPREG = 3,
  UWOP_SAVE_NONVOL = 4,
  UWOP_SAVE_NONVOL_FAR = 5,
  UWOP_EPILOG = 6,
  UWOP_SAVE_XMM128 = 8,
  UWOP_SAVE_XMM128_FAR = 9,
  UWOP_PUSH_MACHFRAME = 10
};

typedef union _UNWIND_CODE {
  struct {
    UCHAR CodeOffset;
    UCHAR UnwindOp : 4;
    UCHAR OpInfo : 4;
  };
  USHORT FrameOffset;
} UNWIND_CODE;

typedef struct _UNWIND_INFO {
  UCHAR Version : 3;
  UCHAR Flags : 5;
  UCHAR SizeOfProlog;
  UCHAR CountOfCodes;
  UCHAR FrameRegister : 4;
  UCHAR FrameOffset : 4;
  UNWIND_CODE UnwindCode[];
} UNWIND_INFO;

typedef enum _EXCEPTION_DISPOSITION {
  ExceptionContinueExecution,
  ExceptionContinueSearch,
  ExceptionNestedException,
  ExceptionCollidedUnwind
} EXCEPTION_DISPOSITION;

struct _DISPATCHER_CONTEXT;
typedef EXCEPTION_DISPOSITION EXCEPTION_ROUTINE(PEXCEPTION_RECORD ExceptionRecord, PVOID EstablisherFrame,
                                                PCONTEXT ContextRecord, struct _DISPATCHER_CONTEXT *Dispatcher);

typedef struct _DISPATCHER_CONTEXT {
  ULONG64 ControlPc;
  ULONG64 ImageBase;
  PRUNTIME_FUNCTION FunctionEntry;
  ULONG64 EstablisherFrame;
  ULONG64 TargetIp;
  PCONTEXT ContextRecord;
  EXCEPTION_ROUTINE *LanguageHandler;
  PVOID HandlerData;
  PVOID HistoryTable;
  ULONG ScopeIndex;
  ULONG Fill0;
} DISPATCHER_CONTEXT, *PDISPATCHER_CONTEXT;

typedef struct _SCOPE_TABLE {
  ULONG Count;
  struct {
    ULONG BeginAddress, EndAddress, HandlerAddress, JumpTarget;
  } ScopeRecord[];
} SCOPE_TABLE;

static PULONG64 Register(PCONTEXT Context, ULONG Number) { return &Context->Rax + (Number & 15); }

PRUNTIME_FUNCTION RtlLookupFunctionEntry(ULONG64 ControlPc, PULONG64 ImageBase, PVOID HistoryTable)
{
  UNREFERENCED_PARAMETER(HistoryTable);
  PKLDR_DATA_TABLE_ENTRY Module = LdrpModuleOfAddress(ControlPc);
  if (!Module) return NULL;
  *ImageBase = (ULONG64)Module->DllBase;
  PRUNTIME_FUNCTION Table = Module->ExceptionTable;
  ULONG Rva = (ULONG)(ControlPc - *ImageBase), Low = 0, High = Module->ExceptionTableSize / sizeof(RUNTIME_FUNCTION);
  while (Table && Low < High) {
    ULONG Middle = (Low + High) / 2;
    if (Rva < Table[Middle].BeginAddress) High = Middle;
    else if (Rva >= Table[Middle].EndAddress) Low = Middle + 1;
    else return &Table[Middle];
  }
  return NULL;
}

static ULONG SlotsOf(UNWIND_CODE Code)
{
  switch (Code.UnwindOp) {
  case UWOP_ALLOC_LARGE: return Code.OpInfo ? 3 : 2;
  case UWOP_SAVE_NONVOL:
  case UWOP_SAVE_XMM128:
  case UWOP_EPILOG: return 2;
  case UWOP_SAVE_NONVOL_FAR:
  case UWOP_SAVE_XMM128_FAR: return 3;
  default: return 1;
  }
}

static ULONG Operand(UNWIND_CODE *Code, ULONG Scale, BOOLEAN Far)
{
  return Far ? Code[1].FrameOffset | (ULONG)Code[2].FrameOffset << 16 : Code[1].FrameOffset * Scale;
}

/* Undoes the prologue operations that have happened; returns TRUE if a machine frame set RIP and RSP. */
static BOOLEAN UndoPrologue(UNWIND_INFO *Info, ULONG PrologOffset, ULONG64 Frame, PCONTEXT Context)
{
  BOOLEAN Machine = FALSE;
  for (ULONG I = 0; I < Info->CountOfCodes; I += SlotsOf(Info->UnwindCode[I])) {
    UNWIND_CODE *Code = &Info->UnwindCode[I];
    if (PrologOffset < Code->CodeOffset) continue;
    PM128A Xmm = &Context->Xmm0 + Code->OpInfo;
    switch (Code->UnwindOp) {
    case UWOP_PUSH_NONVOL:
      *Register(Context, Code->OpInfo) = *(PULONG64)Context->Rsp;
      Context->Rsp += 8;
      break;
    case UWOP_ALLOC_LARGE: Context->Rsp += Operand(Code, 8, Code->OpInfo != 0); break;
    case UWOP_ALLOC_SMALL: Context->Rsp += Code->OpInfo * 8u + 8; break;
    case UWOP_SET_FPREG: Context->Rsp = *Register(Context, Info->FrameRegister) - Info->FrameOffset * 16u; break;
    case UWOP_SAVE_NONVOL: *Register(Context, Code->OpInfo) = *(PULONG64)(Frame + Operand(Code, 8, FALSE)); break;
    case UWOP_SAVE_NONVOL_FAR: *Register(Context, Code->OpInfo) = *(PULONG64)(Frame + Operand(Code, 1, TRUE)); break;
    case UWOP_SAVE_XMM128: *Xmm = *(PM128A)(Frame + Operand(Code, 16, FALSE)); break;
    case UWOP_SAVE_XMM128_FAR: *Xmm = *(PM128A)(Frame + Operand(Code, 1, TRUE)); break;
    case UWOP_PUSH_MACHFRAME:
      if (Code->OpInfo) Context->Rsp += 8;
      Context->Rip = ((PULONG64)Context->Rsp)[0];
      Context->Rsp = ((PULONG64)Context->Rsp)[3];
      Machine = TRUE;
      break;
    default: break;
    }
  }
  return Machine;
}

/* Past the prologue, the frame is where the frame register or RSP says; inside it, where RSP is. */
EXCEPTION_ROUTINE *RtlVirtualUnwind(ULONG HandlerType, ULONG64 ImageBase, ULONG64 ControlPc,
                                    PRUNTIME_FUNCTION FunctionEntry, PCONTEXT Context, PVOID *HandlerData,
                                    PULONG64 EstablisherFrame, PVOID ContextPointers)
{
  UNREFERENCED_PARAMETER(ContextPointers);
  UNWIND_INFO *Info = (UNWIND_INFO *)(ImageBase + FunctionEntry->UnwindData), *First = Info;
  ULONG Offset = (ULONG)(ControlPc - ImageBase) - FunctionEntry->BeginAddress;
  BOOLEAN InProlog = Offset < Info->SizeOfProlog;
  ULONG64 Frame = Context->Rsp;
  if (Info->FrameRegister) {
    BOOLEAN Set = !InProlog;
    for (ULONG I = 0; InProlog && I < Info->CountOfCodes; I += SlotsOf(Info->UnwindCode[I]))
      if (Info->UnwindCode[I].UnwindOp == UWOP_SET_FPREG) Set = Offset >= Info->UnwindCode[I].CodeOffset;
    if (Set) Frame = *Register(Context, Info->FrameRegister) - Info->FrameOffset * 16u;
  }
  *EstablisherFrame = Frame;
  BOOLEAN Machine = UndoPrologue(Info, InProlog ? Offset : 0xFF, Frame, Context);
  for (ULONG Chain = 0; (Info->Flags & UNW_FLAG_CHAININFO) && Chain < 8; Chain++) {
    PRUNTIME_FUNCTION Parent = (PRUNTIME_FUNCTION)&Info->UnwindCode[ROUND_UP(Info->CountOfCodes, 2)];
    Info = (UNWIND_INFO *)(ImageBase + Parent->UnwindData);
    Machine |= UndoPrologue(Info, 0xFF, Frame, Context);
  }
  if (!Machine) {
    Context->Rip = *(PULONG64)Context->Rsp;
    Context->Rsp += 8;
  }
  if (InProlog || !(First->Flags & HandlerType) || (First->Flags & UNW_FLAG_CHAININFO)) return NULL;
  PULONG Handler = (PULONG)&First->UnwindCode[ROUND_UP(First->CountOfCodes, 2)];
  *HandlerData = Handler + 1;
  return (EXCEPTION_ROUTINE *)(ImageBase + *Handler);
}

/* One frame up. FALSE at the end of the stack. Dispatcher may be null. */
static BOOLEAN Step(PCONTEXT Context, ULONG HandlerType, PDISPATCHER_CONTEXT Dispatcher)
{
  PKTHREAD Thread = KeGetCurrentThread();
  ULONG64 ImageBase = 0, Rsp = Context->Rsp;
  BOOLEAN OnStack = Rsp >= (ULONG64)Thread->StackLimit && Rsp <= (ULONG64)Thread->StackBase - 8;
  if (!OnStack || Context->Rip < MM_SYSTEM_RANGE_START) return FALSE;
  PRUNTIME_FUNCTION Function = RtlLookupFunctionEntry(Context->Rip, &ImageBase, NULL);
  DISPATCHER_CONTEXT Local;
  if (!Dispatcher) Dispatcher = &Local;
  Dispatcher->ControlPc = Context->Rip;
  Dispatcher->ImageBase = ImageBase;
  Dispatcher->FunctionEntry = Function;
  Dispatcher->LanguageHandler = NULL;
  Dispatcher->ScopeIndex = 0;
  if (!Function) { /* a leaf: only the return address is on the stack */
    if (!LdrpModuleOfAddress(Context->Rip)) return FALSE;
    Context->Rip = *(PULONG64)Context->Rsp;
    Context->Rsp += 8;
  } else {
    Dispatcher->LanguageHandler =
        RtlVirtualUnwind(HandlerType, ImageBase, Context->Rip, Function, Context, &Dispatcher->HandlerData,
                         &Dispatcher->EstablisherFrame, NULL);
  }
  return TRUE;
}

ULONG RtlWalkFrameChain(PVOID *Callers, ULONG Count, PCONTEXT From)
{
  CONTEXT Context = *From;
  ULONG Found = 0;
  while (Found < Count && Step(&Context, 0, NULL) && Context.Rip) Callers[Found++] = (PVOID)Context.Rip;
  return Found;
}

BOOLEAN RtlDispatchException(PEXCEPTION_RECORD ExceptionRecord, PCONTEXT ContextRecord)
{
  CONTEXT Context = *ContextRecord;
  DISPATCHER_CONTEXT Dispatcher;
  for (ULONG Depth = 0; Depth < MAXIMUM_FRAMES && Step(&Context, UNW_FLAG_EHANDLER, &Dispatcher); Depth++) {
    if (!Dispatcher.LanguageHandler) continue;
    Dispatcher.ContextRecord = &Context;
    EXCEPTION_DISPOSITION Disposition = Dispatcher.LanguageHandler(
        ExceptionRecord, (PVOID)Dispatcher.EstablisherFrame, ContextRecord, &Dispatcher);
    if (Disposition == ExceptionContinueExecution) return TRUE;
  }
  return FALSE;
}

/* Runs the termination handlers between here and TargetFrame and continues at TargetIp. Does not return. */
VOID RtlUnwindEx(PVOID TargetFrame, PVOID TargetIp, PEXCEPTION_RECORD ExceptionRecord, PVOID ReturnValue,
                 PCONTEXT OriginalContext, PVOID HistoryTable)
{
  UNREFERENCED_PARAMETER(HistoryTable);
  CONTEXT Context, Previous;
  DISPATCHER_CONTEXT Dispatcher;
  UNREFERENCED_PARAMETER(OriginalContext);
  RtlCaptureContext(&Context);
  ExceptionRecord->ExceptionFlags |= EXCEPTION_UNWINDING;
  for (ULONG Depth = 0; Depth < MAXIMUM_FRAMES; Depth++) {
    Previous = Context;
    if (!Step(&Context, UNW_FLAG_UHANDLER, &Dispatcher)) break;
    BOOLEAN Target = Dispatcher.FunctionEntry && Dispatcher.EstablisherFrame == (ULONG64)TargetFrame;
    if (Target) ExceptionRecord->ExceptionFlags |= EXCEPTION_TARGET_UNWIND;
    if (Dispatcher.LanguageHandler) {
      Dispatcher.ContextRecord = &Previous;
      Dispatcher.TargetIp = (ULONG64)TargetIp;
      Dispatcher.LanguageHandler(ExceptionRecord, (PVOID)Dispatcher.EstablisherFrame, &Previous, &Dispatcher);
    }
    if (!Target) continue;
    Previous.Rip = (ULONG64)TargetIp;
    Previous.Rax = (ULONG64)ReturnValue;
    Previous.EFlags |= EFLAGS_IF_MASK;
    RtlpRestoreContext(&Previous);
  }
  KeBugCheckEx(KMODE_EXCEPTION_NOT_HANDLED, (ULONG_PTR)(LONG64)STATUS_BAD_STACK, (ULONG_PTR)TargetIp, 0, 0);
}

typedef LONG EXCEPTION_FILTER(PEXCEPTION_POINTERS Pointers, PVOID EstablisherFrame);
typedef VOID TERMINATION_HANDLER(BOOLEAN Abnormal, PVOID EstablisherFrame);

/* The language handler of C: JumpTarget 0 marks a __finally, HandlerAddress 1 a filter that is always true. */
EXCEPTION_DISPOSITION __C_specific_handler(PEXCEPTION_RECORD ExceptionRecord, PVOID EstablisherFrame,
                                           PCONTEXT ContextRecord, PDISPATCHER_CONTEXT Dispatcher)
{
  SCOPE_TABLE *Table = Dispatcher->HandlerData;
  ULONG Rva = (ULONG)(Dispatcher->ControlPc - Dispatcher->ImageBase);
  EXCEPTION_POINTERS Pointers = {ExceptionRecord, ContextRecord};
  for (ULONG I = Dispatcher->ScopeIndex; I < Table->Count; I++) {
    if (Rva < Table->ScopeRecord[I].BeginAddress || Rva >= Table->ScopeRecord[I].EndAddress) continue;
    ULONG Handler = Table->ScopeRecord[I].HandlerAddress, Jump = Table->ScopeRecord[I].JumpTarget;
    if (ExceptionRecord->ExceptionFlags & EXCEPTION_UNWINDING) {
      ULONG64 Target = Dispatcher->TargetIp - Dispatcher->ImageBase;
      if ((ExceptionRecord->ExceptionFlags & EXCEPTION_TARGET_UNWIND) && Jump && Jump == Target) break;
      Dispatcher->ScopeIndex = I + 1;
      if (!Jump) ((TERMINATION_HANDLER *)(Dispatcher->ImageBase + Handler))(TRUE, EstablisherFrame);
      continue;
    }
    if (!Jump) continue;
    LONG Verdict = 1;
    if (Handler != 1) Verdict = ((EXCEPTION_FILTER *)(Dispatcher->ImageBase + Handler))(&Pointers, EstablisherFrame);
    if (Verdict < 0) return ExceptionContinueExecution;
    if (Verdict == 0) continue;
    RtlUnwindEx(EstablisherFrame, (PVOID)(Dispatcher->ImageBase + Jump), ExceptionRecord,
                (PVOID)(ULONG_PTR)(ULONG)ExceptionRecord->ExceptionCode, Dispatcher->ContextRecord, NULL);
  }
  return ExceptionContinueSearch;
}
