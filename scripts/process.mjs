// Runs a command so that it cannot hang and cannot leave anything behind: no stdin, its own process group,
// a time limit, and the whole group ended when the command is over, times out, or the user interrupts us.
//
// Invariant: when `run` settles, no process of the group is alive (Linux, macOS; on Windows the tree is ended
// by taskkill only at a limit or an interrupt, since there are no process groups to ask).

import { execFileSync, spawn } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

/** The repository's top folder. Every command runs there unless told otherwise. */
export const root = fileURLToPath(new URL('..', import.meta.url));

const windows = process.platform === 'win32';
const outputLimit = 512 * 1024;
const killGraceMs = 5_000;
const leftoverGraceMs = 1_000;

/** Process ids (= group ids) of the commands now running. */
const live = new Set();
let interrupted = false;

/**
 * Runs `command` to its end. Never rejects because of what the command does.
 *
 * options: `cwd`; `env` (added to ours); `limitMs` (required); `output`: 'show' (stdout to stdout), 'chatter'
 * (both streams to stderr), or 'keep' (both streams, the last 512 KiB, returned as `output`).
 * @returns `{ code, signal, timedOut, failedToStart, output, leftovers }`; `leftovers` names the processes of
 * the group that outlived the command by more than a second (they have been ended).
 */
export async function run(command, args, { cwd = root, env = {}, limitMs, output = 'keep' }) {
  if (interrupted) await new Promise(() => {});
  installInterruptHandler();
  const streams = { show: ['ignore', 1, 2], chatter: ['ignore', 2, 2], keep: ['ignore', 'pipe', 'pipe'] }[
    output
  ];
  const child = spawn(command, args, {
    cwd,
    env: { ...process.env, ...env },
    stdio: streams,
    detached: !windows,
    windowsHide: true,
  });
  const kept = keepOutput(child);
  const closed = new Promise((resolve) => child.once('close', resolve));
  const failedToStart = await new Promise((resolve) => {
    child.once('spawn', () => resolve(undefined));
    child.once('error', resolve);
  });
  if (failedToStart !== undefined) {
    return { code: 127, signal: null, timedOut: false, failedToStart, output: '', leftovers: [] };
  }

  live.add(child.pid);
  try {
    let timedOut = false;
    const exited = new Promise((resolve) => child.once('exit', (code, signal) => resolve({ code, signal })));
    const timer = setTimeout(() => {
      timedOut = true;
      void endGroup(child.pid);
    }, limitMs);
    const { code, signal } = await exited;
    clearTimeout(timer);
    const leftovers = await endLeftovers(child.pid, timedOut);
    await Promise.race([closed, delay(killGraceMs, undefined, { ref: false })]);
    return { code, signal, timedOut, failedToStart: undefined, output: kept(), leftovers };
  } finally {
    live.delete(child.pid);
  }
}

/** Collects what the child prints; returns a function that gives the last part of it as text. */
function keepOutput(child) {
  const chunks = [];
  let size = 0;
  const take = (chunk) => {
    chunks.push(chunk);
    size += chunk.length;
    while (chunks.length > 1 && size - chunks[0].length >= outputLimit) size -= chunks.shift().length;
  };
  child.stdout?.on('data', take);
  child.stderr?.on('data', take);
  return () => Buffer.concat(chunks).toString('utf8');
}

/** Asks the group to end, and after a grace ends it by force. */
async function endGroup(pid) {
  signalGroup(pid, 'SIGTERM');
  const deadline = Date.now() + killGraceMs;
  while (Date.now() < deadline && members(pid).length > 0) await delay(50);
  signalGroup(pid, 'SIGKILL');
}

/** Ends what the command left in its group, after a short grace; returns what it was. */
async function endLeftovers(pid, timedOut) {
  if (windows) return [];
  const deadline = Date.now() + (timedOut ? 0 : leftoverGraceMs);
  let left = members(pid);
  while (left.length > 0 && Date.now() < deadline) {
    await delay(25);
    left = members(pid);
  }
  if (left.length > 0) {
    signalGroup(pid, 'SIGKILL');
    const gone = Date.now() + leftoverGraceMs;
    while (members(pid).length > 0 && Date.now() < gone) await delay(5);
  }
  return left;
}

function signalGroup(pid, signal) {
  try {
    if (!windows) process.kill(-pid, signal);
    else
      execFileSync('taskkill', ['/pid', String(pid), '/t', '/f'], { stdio: 'ignore', timeout: killGraceMs });
  } catch {
    // The group is gone, which is what was wanted.
  }
}

/** The living processes of a group, as `name (pid)`; zombies that nobody has reaped yet do not count. */
function members(group) {
  if (process.platform !== 'linux') {
    try {
      process.kill(windows ? group : -group, 0);
      return [`a process of group ${group}`];
    } catch {
      return [];
    }
  }
  const found = [];
  for (const entry of readdirSync('/proc')) {
    if (!/^\d+$/.test(entry)) continue;
    const stat = parseStat(readIfThere(`/proc/${entry}/stat`));
    if (stat !== undefined && stat.group === group && stat.state !== 'Z' && stat.state !== 'X') {
      found.push(`${stat.name} (${entry})`);
    }
  }
  return found;
}

function readIfThere(file) {
  try {
    return readFileSync(file, 'latin1');
  } catch {
    return undefined;
  }
}

/** `pid (name) state ppid pgrp …` of proc(5); a name may hold spaces and parentheses. */
export function parseStat(text) {
  const match = /^\d+ \((.*)\) (\S) \d+ (\d+) /s.exec(text ?? '');
  return match === null ? undefined : { name: match[1], state: match[2], group: Number(match[3]) };
}

function installInterruptHandler() {
  if (process.listenerCount('SIGINT') > 0) return;
  for (const [signal, number] of [
    ['SIGINT', 2],
    ['SIGTERM', 15],
    ['SIGHUP', 1],
  ]) {
    process.on(signal, () => {
      if (interrupted) return;
      interrupted = true;
      console.error(`\nvmkd: ${signal}, ending what was started`);
      void Promise.all([...live].map(endGroup)).then(() => process.exit(128 + number));
    });
  }
  process.on('exit', () => {
    for (const pid of live) signalGroup(pid, 'SIGKILL');
  });
}
