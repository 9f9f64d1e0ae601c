/** What a client refers to by number within one stop. */

import type { VirtualAddress } from '../engine/core/addresses';
import { Mutex } from '../engine/core/mutex';
import type { SourceLine } from '../engine/symbols/services/imageSymbols';
import type { CallFrame } from '../engine/target/callStack';
import type { TargetProcessor } from '../engine/target/target';
import type { SleepingThread } from '../engine/target/sleepingThread';
import { Handles, type HandleNumbers } from './handles';
import type { Container, Shown } from './variables/shown';

export interface FrameThing {
  readonly processor: TargetProcessor;
  readonly frame: CallFrame;
  /** In the processor's stack. */
  readonly index: number;
}

interface PlaceThing {
  readonly address: VirtualAddress;
  readonly processor: TargetProcessor;
}

interface ContainerThing {
  readonly container: Container;
  /** The children that the client has seen, by name. */
  readonly seen: Map<string, Shown>;
}

export class StopThings {
  readonly frames: Handles<FrameThing>;
  readonly containers: Handles<ContainerThing>;
  readonly gotoTargets: Handles<PlaceThing>;
  readonly calls: Handles<PlaceThing>;
  readonly locations: Handles<SourceLine>;
  /** Threads that no processor runs, and that somebody looks at. */
  readonly sleepers: SleepingThread[] = [];
  /** One is found, or added, at a time: views ask for many at once. */
  readonly sleeping = new Mutex();

  constructor(numbers: HandleNumbers) {
    this.frames = new Handles(numbers, 'stack frame');
    this.containers = new Handles(numbers, 'variable');
    this.gotoTargets = new Handles(numbers, 'place to go to');
    this.calls = new Handles(numbers, 'call');
    this.locations = new Handles(numbers, 'place in the source');
  }

  clear(): void {
    const { frames, containers, gotoTargets, calls, locations } = this;
    this.sleepers.length = 0;
    for (const handles of [frames, containers, gotoTargets, calls, locations]) handles.clear();
  }
}
