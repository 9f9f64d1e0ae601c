/**
 * `vmkd doctor` in a process of its own, for the extension. It may have the link, and have stopped the kernel, for as long as it
 * goes on: one that is not wanted any more is asked to let go, and nobody hears of it.
 */

import { spawn } from 'node:child_process';
import path from 'node:path';
import { nodeProcess } from '../adapterProcess';
import type { DoctorStep } from '../webviews/messages';

export interface CheckUp {
  readonly steps: readonly DoctorStep[];
  /** What the doctor says besides, or why he says nothing. */
  readonly failure: string;
}

/** Milliseconds. */
const limit = 120_000;
/** Milliseconds in which one that is broken off lets the kernel go. */
const leaveLimit = 15_000;
/** Characters: some twenty steps of a few sentences are never more. */
const mostOutput = 1 << 20;

/**
 * @param subject A machine or a link.
 * @param signal Breaks it off. @returns What was found; undefined if it was broken off
 */
export function checkUp(
  extensionPath: string,
  subject: string,
  signal: AbortSignal,
): Promise<CheckUp | undefined> {
  const { command, env } = nodeProcess();
  const program = path.join(extensionPath, 'dist', 'vmkd.js');
  const child = spawn(command, [program, 'doctor', subject, '--json', '--until-stdin-ends'], {
    env: { ...process.env, ...env },
    windowsHide: true,
  });
  const { stdin, stdout, stderr } = child;
  let kill: NodeJS.Timeout | undefined;
  const leave = (): void => {
    stdin.end();
    kill ??= setTimeout(() => child.kill('SIGKILL'), leaveLimit);
  };
  let isLate = false;
  const timer = setTimeout(() => {
    isLate = true;
    leave();
  }, limit);
  signal.addEventListener('abort', leave, { once: true });
  stdin.on('error', () => undefined);
  const [output, complaint] = [stdout, stderr].map((stream) => {
    const text = { all: '' };
    stream.setEncoding('utf8').on('data', (more: string) => {
      if (text.all.length < mostOutput) text.all += more;
    });
    return text;
  }) as [{ all: string }, { all: string }];
  return new Promise((resolve) => {
    const end = (why: string): void => {
      clearTimeout(timer);
      clearTimeout(kill);
      signal.removeEventListener('abort', leave);
      if (signal.aborted) resolve(undefined);
      else if (isLate) resolve(failed(`it took longer than ${limit / 1000} s`));
      else resolve(read(output.all, why));
    };
    child.once('error', ({ message }) => end(message));
    child.once('close', (code, killed) =>
      end(complaint.all.trim() || `It has ended with ${killed ?? `exit code ${code}`}`),
    );
  });
}

/** @param why For a doctor who has said nothing that can be read. */
function read(output: string, why: string): CheckUp {
  try {
    const { steps, error } = JSON.parse(output) as {
      steps?: readonly DoctorStep[];
      error?: { message: string; nextStep: string };
    };
    return { steps: steps ?? [], failure: error === undefined ? '' : `${error.message}. ${error.nextStep}` };
  } catch {
    return failed(why);
  }
}

const failed = (why: string): CheckUp => ({ steps: [], failure: `The check-up failed: ${why}` });
