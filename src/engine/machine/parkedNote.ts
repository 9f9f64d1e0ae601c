/**
 * That a machine rests at our order, on disk before it does. A session that is killed leaves it paused: its guardian, or the
 * next attach, finds this note and resumes it.
 *
 *   {"vmkdParked":1,"machine":"/vm/win11/win11.vmx","process":4711}
 *
 * Invariants: the note is there for as long as the machine may be paused on our account; it holds for the very run of the
 * machine that it was written in, as far as its process tells. The file is a hint: what cannot be read as one is ignored.
 */

import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { VmkdError } from '../core/errors';
import { findMachine } from './find';
import type { Machine } from './machine';
import { withControl } from './withControl';

interface Noted {
  /** As findMachine understands it. */
  readonly machine: string;
  readonly process: number | undefined;
}

export class ParkedNote {
  readonly #file: string;

  /** @param link A link has one debugger at a time. */
  constructor(
    private readonly stateFolder: string,
    link: string,
  ) {
    const name = createHash('sha256').update(link).digest('hex').slice(0, 16);
    this.#file = path.join(stateFolder, `parked-${name}.json`);
  }

  /** @throws file-unwritable: then the machine must not be paused */
  write({ where, pid }: Pick<Machine, 'where' | 'pid'>): void {
    try {
      mkdirSync(this.stateFolder, { recursive: true });
      const text = JSON.stringify({ vmkdParked: 1, machine: where, process: pid });
      writeFileSync(`${this.#file}.new`, text, { mode: 0o600 });
      renameSync(`${this.#file}.new`, this.#file);
    } catch (cause) {
      throw new VmkdError('file-unwritable', `The note ${this.#file} cannot be written`, { cause });
    }
  }

  /** Never throws: a note that stays costs whoever finds it a needless order. */
  remove(): void {
    try {
      rmSync(this.#file, { force: true });
    } catch {
      // Its folder is none any more.
    }
  }

  /**
   * Resumes what a dead session has left paused. @returns whether there was such a machine
   * @throws machine-*; then the note stays
   */
  async resume(): Promise<boolean> {
    const noted = this.#read();
    if (noted === undefined) return false;
    const machine = await findMachine(noted.machine).catch((thrown: unknown) => {
      // It has ended, and with it what was paused.
      if (thrown instanceof VmkdError && thrown.code === 'machine-unknown') return undefined;
      throw thrown;
    });
    const isSame = machine?.pid === undefined || !noted.process || machine.pid === noted.process;
    if (machine !== undefined && isSame) await withControl(machine, (control) => control.unpause());
    this.remove();
    return machine !== undefined && isSame;
  }

  #read(): Noted | undefined {
    try {
      const {
        vmkdParked,
        machine,
        process: pid,
      } = JSON.parse(readFileSync(this.#file, 'utf8')) as Record<string, unknown>;
      if (vmkdParked !== 1 || typeof machine !== 'string' || machine === '') return undefined;
      return { machine, process: typeof pid === 'number' ? pid : undefined };
    } catch {
      return undefined;
    }
  }
}
