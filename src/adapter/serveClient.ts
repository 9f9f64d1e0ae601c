/** One client from its first byte to its last: connection, session and dispatcher tied together. */

import type { Readable, Writable } from 'node:stream';
import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { Connection } from './connection';
import { Dispatcher } from './dispatcher';
import { capabilitiesOf, handlers } from './families';
import { Session } from './session';

export interface ServedClient {
  /** Lets the kernel go, and ends all that belongs to the session. Never rejects. */
  end(): Promise<void>;
}

/** @param onEnded The session is over; what was sent may still be on its way. */
export function serveClient(input: Readable, output: Writable, onEnded: () => void): ServedClient {
  const connection = new Connection(
    input,
    output,
    (request: P.Request) => void dispatcher.dispatch(request),
    () => void session.leave(),
  );
  const session = new Session(connection, {
    capabilities: capabilitiesOf,
    cancel: (request) => dispatcher.cancel(request),
    onEnded,
  });
  const dispatcher = new Dispatcher(handlers, session, connection);
  return { end: () => session.end() };
}
