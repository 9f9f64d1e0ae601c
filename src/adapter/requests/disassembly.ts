/** The disassembly view: exactly as many rows as were asked for, around an address. */

import { VmkdError } from '../../engine/core/errors';
import { addressOf } from '../memoryReferences';
import type { Family } from '../protocol';

/** No view shows more; each row costs a line of text and a look for its symbol. */
const mostRows = 10_000;

export const disassembly: Family = {
  capabilities: () => ({ supportsDisassembleRequest: true }),
  requests: {
    async disassemble(session, args) {
      session.mustBeStopped();
      const address = addressOf(args.memoryReference, args.offset ?? 0);
      const count = Math.min(Math.max(args.instructionCount, 0), mostRows);
      const offset = args.instructionOffset ?? 0;
      if (Math.abs(offset) > mostRows)
        throw new VmkdError(
          'value-out-of-range',
          `${offset} instructions away is too far: ${mostRows} at most`,
        );
      const listing = await session.listing();
      const rows = await listing.rows(address, offset, count);
      return { instructions: rows };
    },
  },
};
