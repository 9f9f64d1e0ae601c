/**
 * Control of a QEMU machine through its monitor. Its events tell what happens to it.
 *
 * Snapshots are those inside the disk images (savevm, loadvm), which need a writable qcow2 disk; QEMU says so if there is
 * none. The human monitor's commands are used, as they choose the disks by themselves.
 *
 * Source of truth: QEMU's qapi/run-state.json, qapi/misc.json; seen with QEMU 7.2.
 */

import { systemClock, type Clock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { Waiters } from '../../core/waiters';
import type { MachineControl, MachineEvent, PowerState, Snapshots } from '../control';
import { isRecord, type Qmp, type QmpEvent } from './qmp';

/** Milliseconds: the whole of memory goes to or comes from a file. */
const snapshotLimit = 300_000;
/** Milliseconds between the order and the reset itself. */
const resetLimit = 10_000;

/** States of QEMU in which processors run, or the machine is off; in all others it stands. */
const powerOf: Readonly<Record<string, PowerState>> = {
  running: 'running',
  shutdown: 'off',
  suspended: 'suspended',
};

const eventKinds: Readonly<Record<string, 'paused' | 'resumed' | 'reset' | 'off'>> = {
  STOP: 'paused',
  RESUME: 'resumed',
  RESET: 'reset',
  SHUTDOWN: 'off',
};

export class QmpControl implements MachineControl {
  readonly way: string;
  readonly isQuick = true;
  #closed = false;

  /** @param qmp Started; it belongs to us from now on. */
  constructor(
    private readonly qmp: Qmp,
    private readonly clock: Clock = systemClock,
  ) {
    this.way = `QMP at ${qmp.name}`;
  }

  async power(): Promise<PowerState> {
    const answer = await this.qmp.execute('query-status');
    const status = isRecord(answer) ? answer['status'] : undefined;
    return typeof status === 'string' ? (powerOf[status] ?? 'paused') : 'unknown';
  }

  async pause(): Promise<void> {
    await this.qmp.execute('stop');
  }

  async unpause(): Promise<void> {
    await this.qmp.execute('cont');
  }

  /** Resolves when the machine has been reset. */
  async reset(): Promise<void> {
    const resets = new Waiters<undefined>(this.clock);
    const stopEvents = this.qmp.onEvent.add(({ name }) => name === 'RESET' && resets.succeed(undefined));
    const stopEnd = this.qmp.onEnd.add((error) => resets.fail(error));
    try {
      const happened = resets.wait(resetLimit, () => {
        const message = `QEMU took the order to reset, but did not reset within ${resetLimit / 1000} s`;
        return new VmkdError('machine-control-timeout', message);
      });
      await Promise.all([happened, this.qmp.execute('system_reset')]);
    } finally {
      stopEvents();
      stopEnd();
      resets.fail(new VmkdError('cancelled', 'The reset is not waited for any more'));
    }
  }

  readonly snapshots: Snapshots = {
    list: async () => snapshotNames(await this.qmp.execute('query-named-block-nodes')),
    take: (name) => this.#human('savevm', name),
    revert: (name) => this.#revert(name),
  };

  /** A loadvm that fails leaves the machine standing; one that ran before runs on. */
  async #revert(name: string): Promise<void> {
    const before = await this.power();
    try {
      await this.#human('loadvm', name);
    } catch (error) {
      if (before === 'running') await this.unpause();
      throw error;
    }
  }

  watch(listener: (event: MachineEvent) => void): () => void {
    const onEvent = ({ name }: QmpEvent): void => {
      const kind = eventKinds[name];
      if (kind !== undefined) listener({ kind });
    };
    const stopEvents = this.qmp.onEvent.add(onEvent);
    const stopEnd = this.qmp.onEnd.add((error) => {
      if (!this.#closed) listener({ kind: 'lost', error });
    });
    return () => {
      stopEvents();
      stopEnd();
    };
  }

  close(): void {
    this.#closed = true;
    this.qmp.close();
  }

  /** These say nothing when they succeed. */
  async #human(command: string, name: string): Promise<void> {
    if (!/^[\w .+-]{1,128}$/.test(name)) {
      const message = `“${name}” is no name for a snapshot: letters, digits, blanks and . + - _ are`;
      throw new VmkdError('value-out-of-range', message);
    }
    const words = (await this.qmp.human(`${command} "${name}"`, snapshotLimit)).trim();
    if (words !== '')
      throw new VmkdError(
        'machine-control-refused',
        `QEMU refused ${command} ${name}: ${words.slice(0, 1000)}`,
      );
  }
}

/** Snapshots of any disk that hold a machine's state. */
function snapshotNames(nodes: unknown): string[] {
  const names = new Set<string>();
  for (const node of Array.isArray(nodes) ? (nodes as unknown[]) : []) {
    const image = isRecord(node) ? node['image'] : undefined;
    const snapshots = isRecord(image) ? image['snapshots'] : undefined;
    for (const snapshot of Array.isArray(snapshots) ? (snapshots as unknown[]) : []) {
      if (!isRecord(snapshot) || typeof snapshot['name'] !== 'string') continue;
      if (snapshot['vm-state-size'] !== 0) names.add(snapshot['name']);
    }
  }
  return [...names];
}
