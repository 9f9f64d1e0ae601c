/** From a link's specification to the endpoint that opens it, on the systems that have such a thing. */

import { VmkdError } from '../core/errors';
import { systemClock, type Clock } from '../core/clock';
import { ConnectingEndpoint } from './connecting';
import type { LinkEndpoint } from './link';
import { ListeningEndpoint, type ListeningOptions } from './listening';
import { formatLinkSpec, parseLinkSpec, type LinkSpec } from './spec';

/**
 * An endpoint for `spec`. Nothing is opened yet.
 * @param spec What the user wrote, or the parsed form of it.
 * @param listening For one that listens.
 * @throws VmkdError `link-bad-spec`, also for a kind of link that this system does not have.
 */
export function createEndpoint(
  spec: string | LinkSpec,
  clock: Clock = systemClock,
  listening: ListeningOptions = {},
): LinkEndpoint {
  const target = typeof spec === 'string' ? parseLinkSpec(spec) : spec;
  const name = typeof spec === 'string' ? spec : formatLinkSpec(spec);
  switch (target.kind) {
    case 'unix':
    case 'tcp':
    case 'pipe':
      checkPlatform(name, target.kind);
      return new ConnectingEndpoint(name, target, clock);
    case 'unix-listen':
    case 'tcp-listen':
    case 'pipe-listen':
      checkPlatform(name, target.kind);
      return new ListeningEndpoint(name, target, clock, listening);
  }
}

function checkPlatform(name: string, kind: LinkSpec['kind']): void {
  const windows = process.platform === 'win32';
  if (kind.startsWith('pipe') && !windows) {
    throw new VmkdError('link-bad-spec', `${name} is a named pipe, and those exist on Windows only.`, {
      nextStep: 'Here VMware and QEMU make the serial port a Unix socket: write unix:/path.',
    });
  }
  if (kind.startsWith('unix') && windows) {
    throw new VmkdError(
      'link-bad-spec',
      `${name} is a Unix socket, which Windows' serial ports do not use.`,
      {
        nextStep: 'Write pipe:name, the named pipe of the virtual serial port.',
      },
    );
  }
}
