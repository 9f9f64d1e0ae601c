/** The steps of a check-up, in their order: from the machine to what makes debugging fast. */

import { bytesCome, kdAnswers, linkOpens, version } from './kernelSteps';
import { control, firmware, machineFound, machineRuns, serialConfigured } from './machineSteps';
import { memoryLayout, memoryLocated, memoryVerified } from './memorySteps';
import { guestModule, tier } from './moduleSteps';
import type { Step } from './step';

export const steps: readonly Step[] = [
  machineFound,
  machineRuns,
  serialConfigured,
  firmware,
  linkOpens,
  bytesCome,
  kdAnswers,
  version,
  memoryLocated,
  memoryLayout,
  memoryVerified,
  guestModule,
  tier,
  control,
];
