/*
 * procstate.c: a processor's registers as data: KPROCESSOR_STATE, and CONTEXT from and to trap frames.
 */
#include "ki.h"

VOID KiSaveProcessorControlState(PKPROCESSOR_STATE State)
{
  PKSPECIAL_REGISTERS Special = &State->SpecialRegisters;
  Special->Cr0 = KiReadCr0();
  Special->Cr2 = KiReadCr2();
  Special->Cr3 = KiReadCr3();
  Special->Cr4 = KiReadCr4();
  Special->Cr8 = KiReadCr8();
  Special->KernelDr0 = KiReadDr0();
  Special->KernelDr1 = KiReadDr1();
  Special->KernelDr2 = KiReadDr2();
  Special->KernelDr3 = KiReadDr3();
  Special->KernelDr6 = KiReadDr6();
  Special->KernelDr7 = KiReadDr7();
  KiWriteDr7(0);
  KiStoreGdt(&Special->Gdtr.Limit);
  KiStoreIdt(&Special->Idtr.Limit);
  __asm__ volatile("str %0" : "=m"(Special->Tr));
  __asm__ volatile("sldt %0" : "=m"(Special->Ldtr));
  __asm__ volatile("stmxcsr %0" : "=m"(Special->MxCsr));
  Special->DebugControl = 0;
  Special->MsrGsBase = KiReadMsr(MSR_GS_BASE);
  Special->MsrGsSwap = KiReadMsr(MSR_GS_SWAP);
  Special->MsrStar = KiReadMsr(MSR_STAR);
  Special->MsrLStar = KiReadMsr(MSR_LSTAR);
  Special->MsrCStar = KiReadMsr(MSR_CSTAR);
  Special->MsrSyscallMask = KiReadMsr(MSR_SYSCALL_MASK);
  Special->MsrFsBase = KiReadMsr(MSR_FS_BASE);
  Special->Xcr0 = 0;
}

VOID KiRestoreProcessorControlState(PKPROCESSOR_STATE State)
{
  PKSPECIAL_REGISTERS Special = &State->SpecialRegisters;
  KiWriteCr0(Special->Cr0);
  KiWriteCr2(Special->Cr2);
  KiWriteCr3(Special->Cr3);
  KiWriteCr4(Special->Cr4);
  KiWriteCr8(Special->Cr8);
  KiWriteDr0(Special->KernelDr0);
  KiWriteDr1(Special->KernelDr1);
  KiWriteDr2(Special->KernelDr2);
  KiWriteDr3(Special->KernelDr3);
  KiWriteDr6(Special->KernelDr6);
  KiWriteDr7(Special->KernelDr7);
  __asm__ volatile("lgdt %0" ::"m"(Special->Gdtr.Limit));
  KiLoadIdt(&Special->Idtr.Limit);
  __asm__ volatile("ldmxcsr %0" ::"m"(Special->MxCsr));
  KiWriteMsr(MSR_GS_BASE, Special->MsrGsBase);
  KiWriteMsr(MSR_GS_SWAP, Special->MsrGsSwap);
  KiWriteMsr(MSR_STAR, Special->MsrStar);
  KiWriteMsr(MSR_LSTAR, Special->MsrLStar);
  KiWriteMsr(MSR_CSTAR, Special->MsrCStar);
  KiWriteMsr(MSR_SYSCALL_MASK, Special->MsrSyscallMask);
  KiWriteMsr(MSR_FS_BASE, Special->MsrFsBase);
}

VOID KiSaveProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  Prcb->ProcessorState.ContextFrame.ContextFlags = CONTEXT_ALL;
  KeContextFromKframes(TrapFrame, ExceptionFrame, &Prcb->ProcessorState.ContextFrame);
  KiSaveProcessorControlState(&Prcb->ProcessorState);
}

VOID KiRestoreProcessorState(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame)
{
  PKPRCB Prcb = KeGetCurrentPrcb();
  KPROCESSOR_MODE Mode = TrapFrame->SegCs & RPL_MASK ? UserMode : KernelMode;
  KeContextToKframes(TrapFrame, ExceptionFrame, &Prcb->ProcessorState.ContextFrame,
                     Prcb->ProcessorState.ContextFrame.ContextFlags, Mode);
  KiRestoreProcessorControlState(&Prcb->ProcessorState);
}

#define HAS(flags, bit) (((flags) & (bit)) == (bit))

/* Context->ContextFlags says what is wanted. x87 state comes from the processor, whose thread this is. */
VOID KeContextFromKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context)
{
  BOOLEAN Kernel = !(TrapFrame->SegCs & RPL_MASK);
  ULONG Flags = Context->ContextFlags;
  if (HAS(Flags, CONTEXT_CONTROL)) {
    Context->Rip = TrapFrame->Rip;
    Context->Rsp = TrapFrame->Rsp;
    Context->EFlags = TrapFrame->EFlags;
    Context->SegCs = TrapFrame->SegCs;
    Context->SegSs = Kernel ? KGDT64_R0_DATA : TrapFrame->SegSs;
  }
  if (HAS(Flags, CONTEXT_SEGMENTS)) {
    Context->SegDs = Context->SegEs = Context->SegGs = KGDT64_R3_DATA | RPL_MASK;
    Context->SegFs = KGDT64_R3_CMTEB | RPL_MASK;
  }
  if (HAS(Flags, CONTEXT_INTEGER)) {
    Context->Rax = TrapFrame->Rax;
    Context->Rcx = TrapFrame->Rcx;
    Context->Rdx = TrapFrame->Rdx;
    Context->R8 = TrapFrame->R8;
    Context->R9 = TrapFrame->R9;
    Context->R10 = TrapFrame->R10;
    Context->R11 = TrapFrame->R11;
    Context->Rbp = TrapFrame->Rbp;
    Context->Rbx = ExceptionFrame->Rbx;
    Context->Rdi = ExceptionFrame->Rdi;
    Context->Rsi = ExceptionFrame->Rsi;
    Context->R12 = ExceptionFrame->R12;
    Context->R13 = ExceptionFrame->R13;
    Context->R14 = ExceptionFrame->R14;
    Context->R15 = ExceptionFrame->R15;
  }
  if (HAS(Flags, CONTEXT_FLOATING_POINT)) {
    __asm__ volatile("fxsave %0" : "=m"(Context->FltSave));
    RtlCopyMemory(&Context->Xmm0, &TrapFrame->Xmm0, 6 * sizeof(M128A));
    RtlCopyMemory(&Context->Xmm6, &ExceptionFrame->Xmm6, 10 * sizeof(M128A));
    Context->MxCsr = Context->FltSave.MxCsr = TrapFrame->MxCsr;
  }
  if (HAS(Flags, CONTEXT_DEBUG_REGISTERS)) {
    Context->Dr0 = KiReadDr0();
    Context->Dr1 = KiReadDr1();
    Context->Dr2 = KiReadDr2();
    Context->Dr3 = KiReadDr3();
    Context->Dr6 = KiReadDr6();
    Context->Dr7 = KiReadDr7();
  }
}

/*
 * Debug registers are not set here: KdpTakeDebugRegisters puts those that a debugger has changed in a CONTEXT into
 * KSPECIAL_REGISTERS, from where they are loaded when the machine goes on.
 */
VOID KeContextToKframes(PKTRAP_FRAME TrapFrame, PKEXCEPTION_FRAME ExceptionFrame, PCONTEXT Context,
                        ULONG ContextFlags, KPROCESSOR_MODE PreviousMode)
{
  if (HAS(ContextFlags, CONTEXT_CONTROL)) {
    TrapFrame->Rip = Context->Rip;
    TrapFrame->Rsp = Context->Rsp;
    if (PreviousMode == UserMode) {
      TrapFrame->EFlags = (Context->EFlags & (EFLAGS_SANITIZE | EFLAGS_TF_MASK | EFLAGS_RF_MASK)) | EFLAGS_IF_MASK;
      TrapFrame->SegCs = KGDT64_R3_CODE | RPL_MASK;
      TrapFrame->SegSs = KGDT64_R3_DATA | RPL_MASK;
    } else {
      ULONG Allowed = EFLAGS_SANITIZE | EFLAGS_TF_MASK | EFLAGS_RF_MASK | EFLAGS_IF_MASK;
      TrapFrame->EFlags = (Context->EFlags & Allowed) | 2;
      TrapFrame->SegCs = KGDT64_R0_CODE;
      TrapFrame->SegSs = KGDT64_R0_DATA;
    }
  }
  if (HAS(ContextFlags, CONTEXT_INTEGER)) {
    TrapFrame->Rax = Context->Rax;
    TrapFrame->Rcx = Context->Rcx;
    TrapFrame->Rdx = Context->Rdx;
    TrapFrame->R8 = Context->R8;
    TrapFrame->R9 = Context->R9;
    TrapFrame->R10 = Context->R10;
    TrapFrame->R11 = Context->R11;
    TrapFrame->Rbp = Context->Rbp;
    ExceptionFrame->Rbx = Context->Rbx;
    ExceptionFrame->Rdi = Context->Rdi;
    ExceptionFrame->Rsi = Context->Rsi;
    ExceptionFrame->R12 = Context->R12;
    ExceptionFrame->R13 = Context->R13;
    ExceptionFrame->R14 = Context->R14;
    ExceptionFrame->R15 = Context->R15;
  }
  if (HAS(ContextFlags, CONTEXT_FLOATING_POINT)) {
    XMM_SAVE_AREA32 State = Context->FltSave;
    State.MxCsr &= 0xFFBF & ~0x40u; /* a reserved bit would be a #GP */
    RtlZeroMemory(State.Reserved4, sizeof(State.Reserved4));
    __asm__ volatile("fxrstor %0" ::"m"(State));
    RtlCopyMemory(&TrapFrame->Xmm0, &Context->Xmm0, 6 * sizeof(M128A));
    RtlCopyMemory(&ExceptionFrame->Xmm6, &Context->Xmm6, 10 * sizeof(M128A));
    TrapFrame->MxCsr = Context->MxCsr & 0xFFBF;
  }
}
