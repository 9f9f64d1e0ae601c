/**
 * The operating system's words for a failed link, as the vocabulary's. The code alone decides; what is particular
 * (which link, which system call failed how) goes into the sentence.
 *
 * Source: connect(2), bind(2), unix(7), ip(7); for Windows, libuv's translation of Win32 errors, by which
 * ERROR_FILE_NOT_FOUND is ENOENT, ERROR_ACCESS_DENIED EPERM or EACCES, ERROR_PIPE_BUSY EBUSY, and ERROR_BROKEN_PIPE
 * EOF or EPIPE.
 */

import { VmkdError, type ErrorCode } from '../core/errors';

/** What we were doing when the error came. */
export type LinkActivity = 'connect' | 'listen' | 'use';

/** The errno name of a thrown thing, such as `ENOENT`; `?` if it has none. */
export function errnoOf(thrown: unknown): string {
  if (typeof thrown !== 'object' || thrown === null || !('code' in thrown)) return '?';
  return typeof thrown.code === 'string' ? thrown.code : '?';
}

/** @param name The link as the user wrote it. */
export function linkError(name: string, activity: LinkActivity, thrown: unknown): VmkdError {
  const errno = errnoOf(thrown);
  const [code, sentence] = describe(name, activity, errno);
  if (code !== 'link-failed') return new VmkdError(code, `${sentence} (${errno}).`, { cause: thrown });
  const words = thrown instanceof Error ? thrown.message : String(thrown);
  return new VmkdError(code, `${sentence}: ${words}.`, { cause: thrown });
}

function describe(name: string, activity: LinkActivity, errno: string): [ErrorCode, string] {
  if (activity === 'use') {
    return lost.has(errno)
      ? ['link-lost', `${name} was closed by its other end`]
      : ['link-failed', `${name} failed`];
  }
  switch (errno) {
    case 'ENOENT':
      return ['link-not-found', `${name} does not exist`];
    case 'ENOTFOUND':
      return ['link-not-found', `The host of ${name} is not known`];
    case 'ECONNREFUSED':
    case 'ENOTSOCK':
      return ['link-refused', `Nothing listens on ${name}`];
    case 'EACCES':
    case 'EPERM':
      return ['link-denied', `Access to ${name} is denied`];
    // A full backlog of a Unix socket (EAGAIN): the listener lets clients in one at a time, and others wait already.
    case 'EBUSY':
    case 'EAGAIN':
      return ['link-busy', `${name} is held by another program`];
    case 'EADDRINUSE':
      return ['link-in-use', `Another program listens on ${name}`];
    case 'ENAMETOOLONG':
      return ['link-bad-spec', `${name} is too long`];
    case 'ENOTDIR':
    case 'ELOOP':
      return ['link-bad-spec', `${name} leads through something that is no folder`];
    case 'EPROTOTYPE':
      return ['link-bad-spec', `${name} is a socket, but no stream of bytes`];
    case 'ETIMEDOUT':
      return ['link-timeout', `${name} did not answer`];
    default:
      // A listener that closes in the same moment: as good as nobody there.
      if (lost.has(errno)) return ['link-refused', `${name} closed the connection at once`];
      return ['link-failed', `${activity === 'connect' ? 'Connecting to' : 'Listening on'} ${name} failed`];
  }
}

const lost = new Set([
  'ECONNRESET',
  'EPIPE',
  'EOF',
  'ENOTCONN',
  'ECONNABORTED',
  'ESHUTDOWN',
  'ETIMEDOUT',
  'ECANCELED',
]);

/** The other end has gone. */
export function lostError(name: string): VmkdError {
  return new VmkdError('link-lost', `${name} was closed by its other end.`);
}

export function cancelledError(name: string): VmkdError {
  return new VmkdError('cancelled', `Opening ${name} was cancelled.`);
}
