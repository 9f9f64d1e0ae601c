/**
 * Memory that can be watched. A client asks at every right-click on a variable whether it could be, so the answer comes from
 * what is known already; the processor's rules are told as sentences.
 *
 *   data id   0xfffff80312345678,8     address and size
 */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { VmkdError } from '../engine/core/errors';
import type { BreakpointPlace } from '../engine/target/target';
import { placeOfExpression } from './evaluation';
import { addressOf, memoryReference } from './memoryReferences';
import type { Session } from './session';
import type { DataPlace } from './variables/shown';

/** Debug registers know no others. */
const watchableSizes = [1, 2, 4, 8];

export async function describeData(
  session: Session,
  args: P.DataBreakpointInfoArguments,
): Promise<P.DataBreakpointInfoResponse['body']> {
  const place = await placeOf(session, args);
  if (place === undefined)
    return { dataId: null, description: `${args.name} lies in no memory: it cannot be watched.` };
  const complaint = complaintOf(place);
  if (complaint !== undefined) return { dataId: null, description: complaint };
  const { address, size } = place;
  const name = args.asAddress === true ? memoryReference(address) : args.name;
  return {
    dataId: `${memoryReference(address)},${size}`,
    description: `${size} byte${size === 1 ? '' : 's'} at ${name}`,
    // The processor has no watch for reads alone.
    accessTypes: ['write', 'readWrite'],
    canPersist: false,
  };
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
  const complaint = complaintOf({ address, size });
  if (complaint !== undefined) throw new VmkdError('value-out-of-range', complaint);
  return { kind: 'data', address, size, access: accessType === 'write' ? 'write' : 'access' };
}

function complaintOf({ address, size }: DataPlace): string | undefined {
  if (!watchableSizes.includes(size))
    return `${size} bytes cannot be watched, only 1, 2, 4 or 8: watch a member instead.`;
  if (address % BigInt(size) !== 0n)
    return `${memoryReference(address)} is not aligned to ${size} bytes, so it cannot be watched as a whole.`;
  return undefined;
}

async function placeOf(
  session: Session,
  args: P.DataBreakpointInfoArguments,
): Promise<DataPlace | undefined> {
  const { name, variablesReference, bytes, asAddress = false, frameId } = args;
  if (asAddress) return { address: addressOf(name), size: bytes ?? 8 };
  const found =
    variablesReference === undefined || variablesReference === 0
      ? await placeOfExpression(session, name, frameId)
      : session.things.containers.get(variablesReference).seen.get(name)?.place;
  return found && { address: found.address, size: bytes ?? found.size };
}
