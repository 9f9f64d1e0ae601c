/**
 * Execution: letting the target go, changing processors, ending it all. None of these has a manipulate reply.
 *
 *   Continue       16 u32 continueStatus
 *   Continue2 x64  16 u32 continueStatus   20 u32 traceFlag   24 u64 dr7   32 u64 symbolStart   40 u64 symbolEnd
 *   Continue2 x86  16 u32 continueStatus   20 u32 traceFlag   24 u32 dr7   28 u32 symbolStart   32 u32 symbolEnd
 *   SwitchProcessor   the head's Processor field; answered by a state change (80000007) from that processor
 *   CauseBugCheck  16 u32 code
 *   SwitchPartition  16 u32 partition
 *
 * traceFlag ≠ 0 sets the trap flag of the stopped processor, 0 clears it. dr7 goes to *every* processor, and Dr6 is zeroed:
 * 0 there kills all hardware breakpoints. symbolStart 1 means “no range”. A failing status (≥ 0x80000000) hands the
 * exception to the guest, and the rest is ignored.
 */

import { hex32, u32, u64 } from '../../core/layout';
import { defineApi } from './message';

const status = { continueStatus: [16, hex32] } as const;

export const continueApi = defineApi({
  number: 0x3136,
  name: 'Continue',
  request: status,
  answer: 'acknowledgement',
  repeatable: false,
});

export const continue2X64 = defineApi({
  number: 0x313c,
  name: 'Continue2',
  request: { ...status, traceFlag: [20, u32], dr7: [24, u64], symbolStart: [32, u64], symbolEnd: [40, u64] },
  answer: 'acknowledgement',
  repeatable: false,
});

export const continue2X86 = defineApi({
  number: 0x313c,
  name: 'Continue2',
  request: {
    ...status,
    traceFlag: [20, u32],
    dr7: [24, hex32],
    symbolStart: [28, hex32],
    symbolEnd: [32, hex32],
  },
  answer: 'acknowledgement',
  repeatable: false,
});

export const reboot = defineApi({
  number: 0x313b,
  name: 'Reboot',
  answer: 'acknowledgement',
  repeatable: false,
});

export const causeBugCheck = defineApi({
  number: 0x3149,
  name: 'CauseBugCheck',
  request: { code: [16, hex32] },
  answer: 'acknowledgement',
  repeatable: false,
});

export const switchProcessor = defineApi({
  number: 0x3150,
  name: 'SwitchProcessor',
  answer: 'stateChange',
});

export const switchPartition = defineApi({
  number: 0x315d,
  name: 'SwitchPartition',
  request: { partition: [16, u32] },
  answer: 'stateChange',
  repeatable: false,
});

/** Numbers of the requests after which the target is not in this stop any more. */
export const letsGo: ReadonlySet<number> = new Set(
  [continueApi, continue2X64, reboot, causeBugCheck].map(({ number }) => number),
);
