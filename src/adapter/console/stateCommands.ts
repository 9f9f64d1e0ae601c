/** Commands about where the processors stand, and those that let them run. */

import { hex } from '../../engine/core/hex';
import { evaluate } from '../../engine/expr/compile';
import { frameText } from '../../engine/target/callStack';
import type { StepKind, StepGranularity } from '../../engine/target/target';
import { companionOf, handOver } from '../requests/companion';
import { resume, step } from '../running';
import { threadName } from '../threadNames';
import { showItem } from '../variables/items';
import { badUsage, numberOf, type ConsoleCommand, type Run } from './command';

const registerRows = [
  ['rax', 'rbx', 'rcx', 'rdx'],
  ['rsi', 'rdi', 'rbp', 'rsp'],
  ['r8', 'r9', 'r10', 'r11'],
  ['r12', 'r13', 'r14', 'r15'],
] as const;

const registers: ConsoleCommand = {
  name: 'r',
  usage: 'r [REGISTER [= VALUE]]',
  help: 'Shows the registers of the frame’s CPU, or one; sets one.',
  completes: 'register',
  async run(run) {
    if (run.args !== '') return oneRegister(run);
    const { processor } = await run.frame();
    const context = await processor.context();
    const rows = registerRows.map((row) =>
      row.map((name) => `${name.padEnd(3)}=${hex(context[name], 16).slice(2)}`).join(' '),
    );
    const name = run.session.target.symbols.nameOf(context.rip);
    return [
      ...rows,
      `rip=${hex(context.rip, 16).slice(2)} ${name ?? ''} eflags=${hex(context.eflags, 8)}`,
    ].join('\n');
  },
};

async function oneRegister({ args, view, look, session }: Run) {
  const [, name = '', value] = /^@?(\w+)\s*(?:=\s*(.+))?$/.exec(args) ?? [];
  const now = await view();
  const text = value === undefined ? `@${name}` : `@${name} = (${value})`;
  const item = await evaluate(text, now.context, { signal: look.signal, allowWrites: value !== undefined });
  const shown = await showItem(now, item, { ...look, hex: true });
  if (value !== undefined) await session.valueWritten(undefined);
  return shown;
}

const stack: ConsoleCommand = {
  name: 'k',
  usage: 'k [COUNT]',
  help: 'Shows the call stack of the frame’s CPU.',
  completes: 'nothing',
  async run(run) {
    const count = run.args === '' ? 256n : await numberOf(run, run.args);
    const { processor } = await run.frame();
    const { frames, end } = await processor.stack(Number(BigInt.asUintN(10, count)));
    const rows = frames.slice(0, Number(count)).map(frameText);
    return [...rows, ...(end.kind === 'failed' ? [`  ${end.error.message}`] : [])].join('\n');
  },
};

const cpus: ConsoleCommand = {
  name: '~',
  usage: '~',
  help: 'Lists the CPUs, and what runs on each.',
  completes: 'nothing',
  async run({ session }) {
    session.mustBeStopped();
    const names = [];
    for (const processor of session.target.processors) names.push(await threadName(session, processor));
    return names.join('\n');
  },
};

const breakpoints: ConsoleCommand = {
  name: 'bl',
  usage: 'bl',
  help: 'Lists breakpoints: where they are, by which means, how often they were hit.',
  completes: 'nothing',
  async run({ session }) {
    const all = session.target.breakpoints?.all ?? [];
    if (all.length === 0) return 'No breakpoints';
    return all
      .map(({ id, status, hitCount }) => {
        const places = status.kind === 'bound' ? status.locations.map(({ address }) => hex(address, 16)) : [];
        return `${id}  ${[...places, status.kind, status.message].join(' ')}, hit ${hitCount} times`;
      })
      .join('\n');
  },
};

const radix: ConsoleCommand = {
  name: 'n',
  usage: 'n 10|16',
  help: 'Shows integers in decimal or in hexadecimal, in all views.',
  completes: 'nothing',
  run({ session, args }) {
    if (args !== '10' && args !== '16') throw badUsage(radix);
    session.hex = args === '16';
    session.invalidateSoon(['variables']);
    return Promise.resolve(`Integers are shown in ${session.hex ? 'hexadecimal' : 'decimal'}`);
  },
};

/** @param passException What becomes of the exception that it stands at; absent: what is usual. */
const running = (name: string, help: string, passException?: boolean): ConsoleCommand => ({
  name,
  usage: name,
  help,
  completes: 'nothing',
  async run({ session, call }) {
    call.holdEvents();
    await resume(session, true, passException === undefined ? {} : { passException });
    return undefined;
  },
});

function stepping(name: string, kind: StepKind, granularity: StepGranularity, help: string): ConsoleCommand {
  return {
    name,
    usage: name,
    help,
    completes: 'nothing',
    async run({ session, frame, call }) {
      const { processor } = await frame();
      call.holdEvents();
      await step(session, { kind, granularity, processor: processor.number });
      return undefined;
    },
  };
}

const kernel: ConsoleCommand = {
  name: '.kernel',
  usage: '.kernel [give|take|start [NAME]|stop]',
  help: 'Says who drives the kernel, where WinDbg shares it; hands it over to WinDbg, takes it back; opens the pipe for WinDbg, closes it.',
  completes: 'nothing',
  async run({ session, args }) {
    const pipe = companionOf(session);
    const [, order = '', place] = /^(\S*)(?:\s+(\S+))?$/.exec(args) ?? [undefined, args];
    if (order === 'start') await session.turn.run(() => pipe.start(place));
    else if (place !== undefined) throw badUsage(kernel);
    else if (order === 'stop') await session.turn.run(() => pipe.stop());
    else if (order === 'give') await handOver(session, 'windbg');
    else if (order === 'take') await handOver(session, 'session');
    else if (order === '') return pipe.mustBe().driver;
    else throw badUsage(kernel);
    return undefined;
  },
};

export const stateCommands: readonly ConsoleCommand[] = [
  registers,
  stack,
  cpus,
  breakpoints,
  radix,
  running('g', 'Lets the kernel run.'),
  running('gh', 'Lets it run; the exception that it stands at counts as handled.', false),
  running('gn', 'Lets it run; its own handlers get the exception that it stands at.', true),
  stepping('p', 'over', 'instruction', 'Steps one instruction, over calls.'),
  stepping('t', 'into', 'instruction', 'Steps one instruction, into calls.'),
  stepping('gu', 'out', 'instruction', 'Runs until the function returns.'),
  kernel,
];
