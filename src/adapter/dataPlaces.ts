/**
 * Memory that can be watched. A client asks at every right-click on a variable whether it could be, so the answer comes from
 * what is known already; the processor's rules are told as sentences.
 *
 *   data id   0xfffff80312345678,8     address and size
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError, asVmkdError } from '../engine/core/errors';
import { slotCount } from '../engine/target/breakpoints/debugSlots';
import { watchPieces } from '../engine/target/breakpoints/watchPieces';
import type { BreakpointPlace } from '../engine/target/target';
import { errorText, understood } from './errors';
import { placeOfExpression } from './evaluation';
import { addressOf, memoryReference } from './memoryReferences';
import type { Session } from './session';
import type { DataPlace } from './variables/shown';

/**
 * What cannot be watched is an answer, too: VS Code opens no menu when it gets an error. Of an address that somebody has typed,
 * however, it shows errors and nothing else. @throws of an address: request-bad, value-out-of-range
 */
export async function describeData(
  session: Session,
  args: P.DataBreakpointInfoArguments,
): Promise<P.DataBreakpointInfoResponse['body']> {
  const isAddress = args.asAddress === true;
  try {
    const place = isAddress
      ? { address: addressOf(args.name), size: args.bytes ?? 8 }
      : await placeOf(session, args);
    const registers = registersFor(place).length;
    const { address, size } = place;
    const name = isAddress ? memoryReference(address) : args.name;
    return {
      dataId: `${memoryReference(address)},${size}`,
      description: `${size} byte${size === 1 ? '' : 's'} at ${name}${registers > 1 ? `, by ${registers} debug registers` : ''}`,
      // The processor has no watch for reads alone.
      accessTypes: ['write', 'readWrite'],
      canPersist: false,
    };
  } catch (thrown) {
    const error = asVmkdError(thrown);
    if (isAddress || error.code === 'internal' || error.code.startsWith('link-')) throw thrown;
    return { dataId: null, description: errorText(error) };
  }
}

/** @throws request-bad, value-out-of-range */
export function dataPlaceOf({ dataId, accessType = 'write' }: P.DataBreakpoint): BreakpointPlace {
  const [reference, sizeText] = dataId.split(',');
  const size = Number(sizeText);
  const address = addressOf(reference);
  if (accessType === 'read') {
    throw new VmkdError('value-out-of-range', 'The processor cannot watch for reads alone', {
      nextStep: 'Watch for reads and writes.',
    });
  }
  registersFor({ address, size });
  return { kind: 'data', address, size, access: accessType === 'write' ? 'write' : 'access' };
}

/** @throws value-out-of-range */
function registersFor({ address, size }: DataPlace) {
  const pieces = watchPieces(address, size);
  if (pieces !== undefined) return pieces;
  throw new VmkdError(
    'value-out-of-range',
    `${size} bytes there cannot be watched by the ${slotCount} debug registers of the processor`,
    { nextStep: 'Watch less: a member, 8 aligned bytes.' },
  );
}

async function placeOf(
  session: Session,
  { name, variablesReference = 0, bytes, frameId }: P.DataBreakpointInfoArguments,
): Promise<DataPlace> {
  const found =
    variablesReference === 0
      ? await understood(name, () => placeOfExpression(session, name, frameId))
      : session.things.containers.get(variablesReference).seen.get(name)?.place;
  if (found !== undefined) return { address: found.address, size: bytes ?? found.size };
  throw new VmkdError('value-unavailable', `${name} lies in no memory, so it cannot be watched`, {
    nextStep: 'Watch what a pointer points at, or a variable that is not in a register.',
  });
}
