/** The families as a whole: no request and no capability twice, and nothing promised that a target lacks. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { capabilitiesOf, families } from './families';

const live = { execution: true, breakpoints: true };

void describe('request families', () => {
  void it('share no request and no capability', () => {
    const requests = families.flatMap(({ requests }) => Object.keys(requests));
    assert.equal(new Set(requests).size, requests.length);
    const capabilities = families.flatMap((family) => Object.keys(family.capabilities?.(live) ?? {}));
    assert.equal(new Set(capabilities).size, capabilities.length);
  });

  void it('take back what needs a part that the target has not', () => {
    const dump = capabilitiesOf({ execution: false, breakpoints: false });
    const promised = Object.entries(capabilitiesOf(live));
    for (const [name] of promised) assert.ok(name in dump, `${name} would stay promised`);
    assert.equal(dump.supportsDataBreakpoints, false);
    assert.equal(dump.supportsSteppingGranularity, false);
    assert.equal(dump.supportsWriteMemoryRequest, false);
    assert.deepEqual(dump.exceptionBreakpointFilters, []);
    assert.equal(dump.supportsReadMemoryRequest, true);
    assert.equal(dump.supportsDisassembleRequest, true);
  });
});
