/** `vmkd doctor MACHINE|LINK`: walks every step of the connection, and says what works, what does not, and what to do. */

import { asVmkdError, VmkdError } from '../engine/core/errors';
import { parseCommandLine, parseSeconds, untilInterrupted, type Command } from './command';
import type { LiveTarget } from '../engine/target/liveTarget';
import type { Patient, StepResult } from './doctor/step';
import { steps } from './doctor/steps';
import { toJson } from './json';

export const doctor: Command = {
  name: 'doctor',
  usage: 'doctor MACHINE|LINK [--json] [--timeout SECONDS] [--until-stdin-ends]',
  summary:
    'Checks every step between here and the kernel of a machine, and says what to do about what fails.',
  details: `  MACHINE            its name, the path of its .vmx, or a part of these: see “vmkd machines”
  LINK               unix:/path, tcp:host:port, pipe:name
  --json             the same as one JSON object
  --timeout SECONDS  how long the guest may take to answer (10)
  --until-stdin-ends breaks off when its standard input ends, and lets the kernel go: for programs that call it

  A kernel that runs is stopped for a moment, and runs on afterwards. VMKD_VM_PASSWORD is the password of an encrypted machine.
  Ends with 1 if a step fails.
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, {
      json: { type: 'boolean', default: false },
      timeout: { type: 'string', default: '10' },
      'until-stdin-ends': { type: 'boolean', default: false },
    });
    const [subject] = positionals;
    if (subject === undefined || positionals.length > 1)
      throw new VmkdError('usage', 'vmkd doctor wants one machine or link');
    const milliseconds = parseSeconds(values.timeout, 'timeout');
    const done: Examined[] = [];
    await untilInterrupted(
      (signal) =>
        examine({ subject, milliseconds, password: process.env['VMKD_VM_PASSWORD'], signal }, (one) => {
          done.push(one);
          if (!values.json) terminal.rows(lines(one));
        }),
      { stdin: values['until-stdin-ends'] },
    );
    const isWell = done.every(({ result }) => result.kind !== 'fail');
    if (values.json) terminal.out(toJson({ subject, ok: isWell, steps: done.map(asData) }));
    if (!isWell) terminal.exitCode = 1;
  },
};

interface Examined {
  readonly name: string;
  readonly result: StepResult;
}

/** @param report Hears of each step as it ends. @throws cancelled */
async function examine(patient: Patient, report: (one: Examined) => void): Promise<void> {
  try {
    for (const step of steps) {
      if (patient.signal.aborted) throw new VmkdError('cancelled', 'The check-up was cancelled');
      const result = await step.run(patient).catch((thrown: unknown): StepResult => {
        const error = asVmkdError(thrown);
        if (error.code === 'cancelled') throw error;
        return { kind: 'fail', error };
      });
      report({ name: step.name, result });
    }
  } finally {
    patient.open?.close();
    await leave(patient.target);
    await patient.endpoint?.dispose();
  }
}

/** A kernel that stood already, at a break or a bugcheck, is left so. */
async function leave(target: LiveTarget | undefined): Promise<void> {
  if (target?.client.stoppedByAttach === true) await target.release().catch(() => undefined);
  else target?.detach();
}

const marks = { pass: 'ok  ', warn: 'warn', fail: 'FAIL', skip: '–   ' } as const;

function lines({ name, result }: Examined): string[] {
  const head = `${marks[result.kind]}  ${name.padEnd(12)}  `;
  if (result.kind === 'pass' || result.kind === 'skip') return [head + result.sentence];
  const { message, code, nextStep } = result.error;
  return [
    `${head}${message} [${code}]`,
    ...nextStep.split('\n').map((line) => `${' '.repeat(head.length)}${line}`),
  ];
}

function asData({ name, result }: Examined): object {
  if (result.kind === 'pass' || result.kind === 'skip')
    return { name, result: result.kind, sentence: result.sentence };
  const { code, message, nextStep } = result.error;
  return { name, result: result.kind, sentence: message, code, nextStep };
}
