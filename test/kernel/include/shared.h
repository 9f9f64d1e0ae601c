/*
 * shared.h: KUSER_SHARED_DATA, the page that the kernel maps at 0xFFFFF78000000000 and every process reads at
 * 0x7FFE0000. Offsets are those of Windows 10 up to XState (0x3D8), which debuggers know by heart.
 */
#ifndef VMK_SHARED_H
#define VMK_SHARED_H

#include "ntdef.h"

typedef struct _KSYSTEM_TIME {
  ULONG LowPart;
  LONG High1Time;
  LONG High2Time;
} KSYSTEM_TIME, *PKSYSTEM_TIME;

typedef struct _KUSER_SHARED_DATA {
  ULONG TickCountLowDeprecated;
  ULONG TickCountMultiplier; /* milliseconds per tick, 8.24 fixed point */
  volatile KSYSTEM_TIME InterruptTime; /* 100 ns since boot */
  volatile KSYSTEM_TIME SystemTime;    /* 100 ns since 1601-01-01 UTC */
  volatile KSYSTEM_TIME TimeZoneBias;
  USHORT ImageNumberLow, ImageNumberHigh;
  WCHAR NtSystemRoot[260];
  ULONG MaxStackTraceDepth;
  ULONG CryptoExponent;
  ULONG TimeZoneId;
  ULONG LargePageMinimum;
  ULONG AitSamplingValue;
  ULONG AppCompatFlag;
  ULONG64 RNGSeedVersion;
  ULONG GlobalValidationRunlevel;
  LONG TimeZoneBiasStamp;
  ULONG NtBuildNumber;
  ULONG NtProductType; /* 1 workstation */
  BOOLEAN ProductTypeIsValid;
  BOOLEAN Reserved0[1];
  USHORT NativeProcessorArchitecture; /* 9 amd64 */
  ULONG NtMajorVersion;
  ULONG NtMinorVersion;
  BOOLEAN ProcessorFeatures[64];
  ULONG Reserved1;
  ULONG Reserved3;
  volatile ULONG TimeSlip;
  ULONG AlternativeArchitecture;
  ULONG BootId;
  LARGE_INTEGER SystemExpirationDate;
  ULONG SuiteMask;
  BOOLEAN KdDebuggerEnabled; /* bit 0 enabled, bit 1 a debugger is there */
  UCHAR MitigationPolicies;
  USHORT CyclesPerYield;
  volatile ULONG ActiveConsoleId;
  volatile ULONG DismountCount;
  ULONG ComPlusPackage;
  ULONG LastSystemRITEventTickCount;
  ULONG NumberOfPhysicalPages;
  BOOLEAN SafeBootMode;
  UCHAR VirtualizationFlags;
  UCHAR Reserved12[2];
  ULONG SharedDataFlags;
  ULONG DataFlagsPad[1];
  ULONG64 TestRetInstruction;
  LONG64 QpcFrequency;
  ULONG SystemCall;
  ULONG Reserved2;
  ULONG64 SystemCallPad[2];
  union {
    volatile KSYSTEM_TIME TickCount;
    volatile ULONG64 TickCountQuad;
    ULONG ReservedTickCountOverlay[4];
  };
  ULONG Cookie;
  ULONG CookiePad[1];
  LONG64 ConsoleSessionForegroundProcessId;
  ULONG64 TimeUpdateLock;
  ULONG64 BaselineSystemTimeQpc;
  ULONG64 BaselineInterruptTimeQpc;
  ULONG64 QpcSystemTimeIncrement;
  ULONG64 QpcInterruptTimeIncrement;
  UCHAR QpcSystemTimeIncrementShift;
  UCHAR QpcInterruptTimeIncrementShift;
  USHORT UnparkedProcessorCount;
  ULONG EnclaveFeatureMask[4];
  ULONG TelemetryCoverageRound;
  USHORT UserModeGlobalLogger[16];
  ULONG ImageFileExecutionOptions;
  ULONG LangGenerationCount;
  ULONG64 Reserved4;
  volatile ULONG64 InterruptTimeBias;
  volatile ULONG64 QpcBias;
  ULONG ActiveProcessorCount;
  volatile UCHAR ActiveGroupCount;
  UCHAR Reserved9;
  USHORT QpcData;
  LARGE_INTEGER TimeZoneBiasEffectiveStart;
  LARGE_INTEGER TimeZoneBiasEffectiveEnd;
  UCHAR XState[0x348];
} KUSER_SHARED_DATA, *PKUSER_SHARED_DATA;
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, NtBuildNumber) == 0x260);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, NtMajorVersion) == 0x26C);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, SystemExpirationDate) == 0x2C8);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, KdDebuggerEnabled) == 0x2D4);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, QpcFrequency) == 0x300);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, TickCount) == 0x320);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, ActiveProcessorCount) == 0x3C0);
C_ASSERT(FIELD_OFFSET(KUSER_SHARED_DATA, XState) == 0x3D8);

#define KI_USER_SHARED_DATA 0xFFFFF78000000000ULL
#define MM_SHARED_USER_DATA_VA 0x7FFE0000ULL
#define SharedUserData ((PKUSER_SHARED_DATA)KI_USER_SHARED_DATA)

#endif
