/**
 * Control of a VMware machine through vmrun. There are no events: a watch asks again and again, and sees on and off. That
 * somebody else has paused the machine nobody can see; what we have paused we know.
 */

import path from 'node:path';
import type { HostSystem } from '../host';
import { systemClock, type Clock, type Timer } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import type { MachineControl, MachineEvent, PowerState, Snapshots } from '../control';
import type { Vmrun } from './runVmrun';
import { runningPaths, snapshotNames } from './vmrun';

/** Milliseconds for each sort of command: vmrun itself takes about one second. */
const limits = { list: 15_000, pause: 30_000, reset: 60_000, start: 180_000, snapshot: 900_000 };
/** Milliseconds between two looks of a watch. */
const lookInterval = 15_000;

export interface VmrunMachine {
  readonly vmxPath: string;
  /** The same without symbolic links: vmrun may call it so. */
  readonly realPath: string;
  readonly platform: HostSystem;
  /** The GUI cannot be started with an encrypted machine. */
  readonly isEncrypted: boolean;
  /** What it is when it is not on. */
  stateWhenOff(): Promise<'off' | 'suspended'>;
}

export class VmrunControl implements MachineControl {
  readonly way: string;
  readonly isQuick = false;
  #pausedByUs = false;

  constructor(
    private readonly vmrun: Vmrun,
    private readonly machine: VmrunMachine,
    private readonly clock: Clock = systemClock,
  ) {
    this.way = `vmrun (${vmrun.place.program} -T ${vmrun.place.hostType})`;
  }

  async power(): Promise<PowerState> {
    const running = runningPaths(await this.vmrun.run(['list'], limits.list));
    const { vmxPath, realPath, platform } = this.machine;
    const isOn = running.some(
      (one) => isSamePath(one, vmxPath, platform) || isSamePath(one, realPath, platform),
    );
    if (isOn) return this.#pausedByUs ? 'paused' : 'running';
    this.#pausedByUs = false;
    return this.machine.stateWhenOff();
  }

  async pause(): Promise<void> {
    await this.#run('pause', limits.pause);
    this.#pausedByUs = true;
  }

  async unpause(): Promise<void> {
    await this.#run('unpause', limits.pause);
    this.#pausedByUs = false;
  }

  async reset(): Promise<void> {
    await this.#run('reset', limits.reset, 'hard');
    this.#pausedByUs = false;
  }

  readonly start = async (): Promise<void> => {
    await this.#run('start', limits.start, this.machine.isEncrypted ? 'nogui' : 'gui');
    this.#pausedByUs = false;
  };

  readonly snapshots: Snapshots = {
    list: async () => snapshotNames(await this.#run('listSnapshots', limits.list)),
    take: async (name) => {
      await this.#run('snapshot', limits.snapshot, snapshotName(name));
    },
    revert: async (name) => {
      await this.#run('revertToSnapshot', limits.snapshot, snapshotName(name));
      this.#pausedByUs = false;
    },
  };

  readonly guestVariable = async (name: string): Promise<string> =>
    (await this.#run('readVariable', limits.list, 'guestVar', name)).trim();

  watch(listener: (event: MachineEvent) => void): () => void {
    let timer: Timer | undefined;
    let ended = false;
    let before: boolean | undefined;
    const look = async (): Promise<void> => {
      // That one look fails says nothing of the machine: vmrun may be busy with another order.
      const state = await this.power().catch(() => 'unknown' as const);
      if (ended) return;
      const now = state === 'unknown' ? before : state === 'running' || state === 'paused';
      if (before !== undefined && now !== undefined && now !== before) listener({ kind: now ? 'on' : 'off' });
      before = now;
      timer = this.clock.after(lookInterval, () => void look());
    };
    void look();
    return () => {
      ended = true;
      timer?.cancel();
    };
  }

  close(): void {
    // There is no connection: each order is a run of its own.
  }

  #run(command: string, milliseconds: number, ...more: string[]): Promise<string> {
    return this.vmrun.run([command, this.machine.vmxPath, ...more], milliseconds);
  }
}

/** vmrun takes what begins with a dash for an option, and a slash for a path through the tree. */
function snapshotName(name: string): string {
  if (/^[^-/\p{Cc}][^/\p{Cc}]{0,127}$/u.test(name)) return name;
  throw new VmkdError(
    'value-out-of-range',
    `“${name}” is no name for a snapshot: it may hold no slash and not begin with a dash`,
  );
}

/** Whether two paths name one file, as far as their words tell. */
export function isSamePath(a: string, b: string, platform: HostSystem): boolean {
  if (platform !== 'win32') return path.posix.normalize(a) === path.posix.normalize(b);
  return path.win32.normalize(a).toLowerCase() === path.win32.normalize(b).toLowerCase();
}
