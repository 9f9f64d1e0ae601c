/**
 * Running vmrun. Invariants: one run at a time, each with a limit after which it is killed; its output is bounded; every
 * failure is a VmkdError, a missing program too.
 */

import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { access, constants } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { systemClock, type Clock } from '../../core/clock';
import { VmkdError } from '../../core/errors';
import { Mutex } from '../../core/mutex';
import type { Host } from '../host';
import { vmrunPlaces, type VmrunHostType, type VmrunPlace } from './places';
import { decodeOutput, vmrunArguments, vmrunFailure, type VmrunResult } from './vmrun';

/** Bytes of output that are kept. */
const mostOutput = 1 << 20;

/** VMKD_VMRUN and VMKD_VMRUN_TYPE come before all other places. @throws machine-no-control: there is none */
export async function findVmrun(host: Host): Promise<VmrunPlace> {
  const { VMKD_VMRUN: program, VMKD_VMRUN_TYPE: type } = host.environment;
  const wantedType = isHostType(type) ? type : undefined;
  const usual = vmrunPlaces(host);
  const places =
    program === undefined
      ? usual
      : [{ program, hostType: host.platform === 'darwin' ? 'fusion' : 'ws' } as const];
  for (const place of places) {
    const isThere = await access(place.program, constants.X_OK).then(
      () => true,
      () => false,
    );
    if (isThere) return { program: place.program, hostType: wantedType ?? place.hostType };
  }
  const message =
    program === undefined
      ? 'vmrun, VMware’s own command for control of machines, is not installed in any of its usual places.'
      : `VMKD_VMRUN names ${program}, which is no program that can be run.`;
  throw new VmkdError('machine-no-control', message);
}

const isHostType = (text: string | undefined): text is VmrunHostType =>
  text === 'ws' || text === 'player' || text === 'fusion';

export class Vmrun {
  readonly #turn = new Mutex();

  constructor(
    readonly place: VmrunPlace,
    private readonly password: string | undefined,
    private readonly clock: Clock = systemClock,
  ) {}

  /**
   * @param command `['pause', vmxPath]`. @param milliseconds Its limit.
   * @returns its output. @throws machine-* as vmrunFailure says; machine-control-timeout; machine-no-control if it cannot be run
   */
  async run(command: readonly string[], milliseconds: number): Promise<string> {
    const result = await this.#turn.run(() => this.#spawn(command, milliseconds));
    const failure = vmrunFailure(result, command[0] ?? '');
    if (failure) throw failure;
    return result.output;
  }

  #spawn(command: readonly string[], milliseconds: number): Promise<VmrunResult> {
    const { program, hostType } = this.place;
    const login = { hostType, ...(this.password !== undefined && { password: this.password }) };
    return new Promise((resolve, reject) => {
      const cannotRun = (cause: unknown): void => {
        const why = cause instanceof Error ? cause.message : String(cause);
        reject(new VmkdError('machine-no-control', `${program} cannot be run: ${why}`, { cause }));
      };
      let child: ChildProcessByStdio<null, Readable, Readable>;
      try {
        child = spawn(program, vmrunArguments(login, command), {
          stdio: ['ignore', 'pipe', 'pipe'],
          windowsHide: true,
        });
      } catch (cause) {
        cannotRun(cause); // Windows: what is no .exe
        return;
      }
      const parts: Buffer[] = [];
      let length = 0;
      const keep = (bytes: Buffer): void => {
        if (length < mostOutput) parts.push(bytes);
        length += bytes.length;
      };
      child.stdout.on('data', keep);
      child.stderr.on('data', keep);
      const timer = this.clock.after(milliseconds, () => {
        child.kill('SIGKILL');
        // What it started may still hold the pipes: do not wait for it.
        child.stdout.destroy();
        child.stderr.destroy();
        const message = `vmrun ${command[0] ?? ''} did not end within ${milliseconds / 1000} s, and was killed`;
        reject(new VmkdError('machine-control-timeout', message));
      });
      child.once('error', (cause) => {
        timer.cancel();
        cannotRun(cause);
      });
      child.once('close', (code) => {
        timer.cancel();
        resolve({ code, output: decodeOutput(Buffer.concat(parts)) });
      });
    });
  }
}
