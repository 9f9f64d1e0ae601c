/** `vmkd bridge MACHINE`: the companion pipe alone, for WinDbg. */

import { systemClock } from '../engine/core/clock';
import { VmkdError, type ErrorCode } from '../engine/core/errors';
import { Companion } from '../engine/companion/companion';
import type { Ownership } from '../engine/companion/ownership';
import { attachText, pipeFor } from '../engine/companion/pipePlace';
import { pipeEndpoint, servePipe } from '../engine/companion/servePipe';
import { formatLinkSpec, isLinkSpec, parseLinkSpec, parseListenSpec } from '../engine/link/spec';
import type { ListenSpec } from '../engine/link/spec';
import { TraceWriter } from '../engine/link/trace';
import { findMachine, machinesWith } from '../engine/machine/find';
import type { Machine } from '../engine/machine/machine';
import { keepKernel, type LoopOptions } from './bridge/kernelLoop';
import { keysHelp, TerminalHost } from './bridge/terminalHost';
import { parseCommandLine, untilInterrupted, type Command } from './command';
import { printableLine, type Terminal } from './terminal';

export const bridge: Command = {
  name: 'bridge',
  usage:
    'bridge MACHINE|LINK [--name NAME | --listen LINK] [--serial] [--park SECONDS] [--trace FILE] [--pipe-trace FILE] [--leave-stopped]',
  summary: 'Lets WinDbg attach to a kernel, faster than its serial port; nothing else is needed.',
  details: `  MACHINE            a virtual machine, as “vmkd machines” lists them
  LINK               unix:/path, tcp:host:port, pipe:name; with -listen after the kind, vmkd waits to be connected
  --name NAME        the pipe is called kd_NAME; default: the machine's name
  --listen LINK      where the pipe is instead: pipe-listen:name, unix-listen:/path, tcp-listen:port
  --serial           uses neither the machine's memory nor the guest module
  --park SECONDS     the machine rests while its kernel stands, and only memory is asked for, for so long; 0: never;
                     default: a quarter, or 5 where pausing takes its time (VMware's vmrun)
  --trace FILE       records every packet of the kernel; “vmkd trace FILE” prints them
  --pipe-trace FILE  records every packet of the pipe
  --leave-stopped    does not let a kernel run on that stands when the bridge ends

  In the terminal: ${keysHelp}.
  Machine, bridge and debugger may start in any order, and come back. docs/companion.md says who drives when.
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, {
      name: { type: 'string' },
      listen: { type: 'string' },
      serial: { type: 'boolean', default: false },
      park: { type: 'string' },
      'leave-stopped': { type: 'boolean', default: false },
      trace: { type: 'string' },
      'pipe-trace': { type: 'string' },
    });
    const [machine] = positionals;
    if (machine === undefined || positionals.length > 1)
      throw new VmkdError('usage', 'vmkd bridge wants one machine or link');
    if (values.name !== undefined && values.listen !== undefined)
      throw new VmkdError('usage', '--name and --listen say the same thing');
    const parkAfter = values.park === undefined ? undefined : secondsOf(values.park);
    const { link, find, name } = await placeOf(machine);
    const pipe = pipeOf(values.listen, values.name ?? name);
    const traces = [values.trace, values['pipe-trace']].map((file, i) =>
      file === undefined
        ? undefined
        : new TraceWriter(file, i === 0 ? machine : formatLinkSpec(pipe), systemClock, (error) =>
            report(terminal, error),
          ),
    );
    try {
      await untilInterrupted((signal) =>
        serve(
          {
            ...{ link, find, pipe, traces, parkAfter },
            ...{ usesRam: !values.serial, leaveStopped: values['leave-stopped'] },
          },
          terminal,
          signal,
        ),
      );
    } finally {
      for (const trace of traces) trace?.close();
    }
  },
};

interface BridgeOptions extends Pick<
  LoopOptions,
  'link' | 'find' | 'usesRam' | 'leaveStopped' | 'parkAfter'
> {
  readonly pipe: ListenSpec;
  /** Of the kernel's link, and of the pipe. */
  readonly traces: readonly (TraceWriter | undefined)[];
}

/** @returns Milliseconds. @throws usage */
function secondsOf(text: string): number {
  const seconds = Number(text);
  if (text.trim() === '' || !(seconds >= 0 && seconds <= 86_400))
    throw new VmkdError('usage', '--park wants seconds: 0 to 86400');
  return seconds * 1000;
}

async function serve(options: BridgeOptions, terminal: Terminal, interrupted: AbortSignal): Promise<void> {
  const { pipe, traces } = options;
  const quit = new AbortController();
  const signal = AbortSignal.any([interrupted, quit.signal]);
  const say = (line: string): void => terminal.error(`vmkd: ${printableLine(line)}\n`);
  // The same trouble every second is told once.
  let told: ErrorCode | undefined;
  const onError = (error: VmkdError): void => {
    if (error.code !== told) report(terminal, error);
    told = error.code;
  };
  const companion = new Companion({
    clock: systemClock,
    hasHost: false,
    observer: {
      onChange: (now, before) => {
        const line = changeText(now, before);
        if (line !== undefined) say(line);
        if (now.kernel.kind !== 'absent') told = undefined;
      },
      onWish: () => say('the debugger on the pipe wants the kernel to stop; h hands over'),
      onError: (error) => report(terminal, error),
    },
  });
  const host = new TerminalHost(companion, say);
  const endpoint = pipeEndpoint(pipe, systemClock, (error) => report(terminal, error));
  const serving = servePipe(endpoint, {
    companion,
    clock: systemClock,
    signal,
    ...(traces[1] && { trace: traces[1] }),
  }).finally(() => quit.abort());
  say(attachText(pipe));
  const unlisten = listenToKeys((key) => {
    if (key === 'q' || key === '\u0003') quit.abort();
    else if (!host.press(key) && key.trim() !== '') say(keysHelp);
  });
  try {
    await keepKernel({ ...options, companion, host, trace: traces[0], signal, say, onError });
  } finally {
    unlisten();
    companion.close();
    await endpoint.dispose();
    await serving;
  }
}

/** Keys of a terminal come one by one; what a script writes is taken as if it were typed. */
function listenToKeys(press: (key: string) => void): () => void {
  const { stdin } = process;
  const onData = (data: Buffer): void => {
    for (const key of data.toString('latin1')) press(key);
  };
  const wasRaw = stdin.isTTY && stdin.isRaw;
  if (stdin.isTTY) stdin.setRawMode(true);
  stdin.on('data', onData);
  return () => {
    stdin.off('data', onData);
    if (stdin.isTTY) stdin.setRawMode(wasRaw);
    stdin.pause();
    stdin.unref();
  };
}

function changeText(now: Ownership, before: Ownership): string | undefined {
  const isThere = ({ peer }: Ownership): boolean => peer.kind !== 'absent' && peer.kind !== 'mute';
  if (isThere(now) && !isThere(before)) {
    return now.owner.kind === 'peer'
      ? 'a debugger is on the pipe, and drives'
      : 'a debugger is on the pipe, and looks on';
  }
  if (!isThere(now) && isThere(before)) return 'the debugger on the pipe is gone';
  return undefined;
}

const report = (terminal: Terminal, { code, message, nextStep }: VmkdError): void =>
  terminal.error(`vmkd: ${printableLine(message)} [${code}]\n  ${printableLine(nextStep)}\n`);

/** Where the kernel is, now and each time that it is looked for. @throws machine-*, link-bad-spec */
async function placeOf(
  text: string,
): Promise<Pick<LoopOptions, 'link' | 'find'> & { readonly name: string }> {
  if (isLinkSpec(text)) {
    const link = formatLinkSpec(parseLinkSpec(text));
    const machine = await machineBehind(link);
    const name = machine?.name ?? link.replace(/^.*[\\/:]/, '');
    return { link: () => Promise.resolve(link), find: machineBehind, name };
  }
  const { name } = await findMachine(text);
  return { link: async () => (await findMachine(text)).kdLink(), find: () => findMachine(text), name };
}

/** The one that has this very link. */
async function machineBehind(link: string): Promise<Machine | undefined> {
  const [machine, ...others] = await machinesWith(link);
  return others.length === 0 ? machine : undefined;
}

/** @throws link-bad-spec, link-denied */
function pipeOf(listen: string | undefined, name: string): ListenSpec {
  if (listen === undefined) return pipeFor(name);
  return parseListenSpec(listen, '--listen wants a link that listens');
}
