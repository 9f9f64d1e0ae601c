/**
 * What views of a kernel ask beyond DAP, by requests that are none of its: `vmkd/processes`, `vmkd/threads`, `vmkd/locate`,
 * `vmkd/locateLine`, `vmkd/symbolize`. Other clients may do without.
 */

import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import { readProcesses } from '../../engine/windows/processes';
import { readProcessThreads } from '../../engine/windows/processThreads';
import { describeThread } from '../../engine/windows/threads';
import { addressOf as addressMeant } from '../console/command';
import { frameOf, viewOf } from '../evaluation';
import { addressOf, memoryReference } from '../memoryReferences';
import { guestText } from '../output';
import type { Family } from '../protocol';

const mostAddresses = 1024;

export const inspect: Family = {
  requests: {
    async 'vmkd/processes'(session) {
      session.mustBeStopped();
      const { target } = session;
      const running = await Promise.all(
        target.processors.map(async (processor) => {
          const thread = await processor.thread().catch(() => undefined);
          const summary =
            thread && (await describeThread(target.memory, target.symbols, thread).catch(() => undefined));
          return { cpu: processor.number, process: summary?.process };
        }),
      );
      const processes = await readProcesses(target.memory, target.symbols);
      return {
        processes: processes.map(({ eprocess, id, name, directoryTableBase }) => ({
          eprocess: memoryReference(eprocess.address),
          id: Number(id),
          name: guestText(name),
          directoryTableBase: hex(directoryTableBase),
          cpus: running.filter(({ process }) => process === eprocess.address).map(({ cpu }) => cpu),
        })),
      };
    },

    async 'vmkd/threads'(session, { eprocess }) {
      session.mustBeStopped();
      const { target } = session;
      const current = await Promise.all(
        target.processors.map(async (processor) => ({
          cpu: processor.number,
          thread: await processor.thread().catch(() => undefined),
        })),
      );
      const threads = await readProcessThreads(target.memory, target.symbols, addressOf(eprocess));
      return {
        threads: threads.map(({ thread, id, startAddress }) => {
          const cpu = current.find((one) => one.thread === thread)?.cpu;
          const start = startAddress === undefined ? undefined : target.symbols.nameOf(startAddress);
          return {
            ethread: memoryReference(thread),
            id: Number(id),
            ...(startAddress !== undefined && { start: start ?? memoryReference(startAddress) }),
            ...(cpu !== undefined && { cpu }),
          };
        }),
      };
    },

    async 'vmkd/locate'(session, { expression, frameId }, call) {
      const address = await addressMeant(
        {
          session,
          call,
          look: { hex: session.hex, signal: call.signal },
          args: expression,
          frame: () => frameOf(session, frameId),
          view: () => viewOf(session, frameId),
        },
        expression,
      );
      return { memoryReference: memoryReference(address) };
    },

    'vmkd/locateLine'(session, { path, line }) {
      const { symbols } = session.target;
      const { sourceMap } = session.configuration;
      const at = session.positions.lineFromClient(line);
      const query = { path: session.positions.pathFromClient(path), line: at, sourceMap };
      const [code] = symbols.findLine(query).flatMap((match) => match.code.filter(({ first }) => first));
      if (code !== undefined) return { memoryReference: memoryReference(code.address) };
      throw new VmkdError('value-out-of-range', `No code is known of line ${at} of ${query.path}`, {
        nextStep:
          'Are the symbols of its module loaded? A line without code means the next one that has some.',
      });
    },

    'vmkd/symbolize'(session, { addresses }) {
      const given: unknown = addresses;
      if (!Array.isArray(given) || given.length > mostAddresses)
        throw new VmkdError('request-bad', `At most ${mostAddresses} addresses have names at once`);
      const { symbols } = session.target;
      return { names: given.map((address: unknown) => symbols.nameOf(addressOf(String(address))) ?? null) };
    },
  },
};
