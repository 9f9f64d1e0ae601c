/**
 * What a large PDB costs at the first stop: the demo kernel with a driver whose PDB has 78 MB, attached to by turns with that
 * PDB on the symbol path and without. A new adapter each time, as an editor starts it, and a breakpoint in the driver, as an
 * editor has it.
 *
 *   attach ─▶ initialized ─▶ breakpoint ─▶ stopped ─▶ stack, scopes, locals     and until the driver's symbols are settled
 *   ├────────────────────────────────────────────────────────────────────────────────────────────────────────────────────┤
 */

import path from 'node:path';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { bigPdb } from '../fixtures/bigPdb';
import { kernelImages } from '../fixtures/liveSymbols';
import { bootDemoKernel, type DemoMachine } from '../kernel/machine';
import { showStop, TimedAdapter } from './dapStepping';

const rounds = 3;
const driver = 'big.sys';
const breakpoint = 'big!Unit77Function5OfTheModule';

/** Milliseconds to the first stop, one for each attach. */
export async function firstStops(): Promise<{ readonly with: number[]; readonly without: number[] }> {
  const { image, pdb } = await bigPdb();
  const machine = await bootDemoKernel({ cpus: 1, drivers: [path.resolve(image)] });
  const times = { with: [] as number[], without: [] as number[] };
  try {
    for (let round = 0; round <= rounds; round++) {
      const withIt = await firstStop(machine, `${kernelImages};${path.resolve(path.dirname(pdb))}`, true);
      const without = await firstStop(machine, kernelImages, false);
      // The first round brings the files into the system's cache.
      if (round === 0) continue;
      times.with.push(withIt);
      times.without.push(without);
    }
    return times;
  } finally {
    await machine.stop();
  }
}

/** @param hasPdb What must come of it: the breakpoint is bound, or it is not. */
async function firstStop(machine: DemoMachine, symbolPath: string, hasPdb: boolean): Promise<number> {
  const client = new TimedAdapter(process.execPath, ['dist/adapter.js']);
  try {
    const settled = new Promise<P.Module>((resolve) => {
      client.on('module', ({ body }: P.ModuleEvent) => {
        if (body.module.name === driver && body.reason === 'changed') resolve(body.module);
      });
    });
    const bound = new Promise<void>((resolve) => {
      client.on('breakpoint', ({ body }: P.BreakpointEvent) => {
        if (body.breakpoint.verified) resolve();
      });
    });
    const initialized = client.waitForEvent('initialized');
    await client.initializeRequest();
    const started = performance.now();
    await client.attachRequest({ link: machine.kdLink, symbolPath } as never);
    await initialized;
    await client.setFunctionBreakpointsRequest({ breakpoints: [{ name: breakpoint }] });
    const first = client.nextStop();
    await client.configurationDoneRequest();
    await showStop(client, (await first).body.threadId!);
    const { symbolFilePath } = await settled;
    if (hasPdb) await bound;
    const time = performance.now() - started;
    if ((symbolFilePath !== undefined) !== hasPdb) throw new Error(`The driver's symbols: ${symbolFilePath}`);
    return time;
  } finally {
    await client.end('kindly');
  }
}
