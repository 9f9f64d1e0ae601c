/** The families as a whole: no request and no capability twice, and nothing promised that a target lacks. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { capabilitiesOf, families } from './families';
import { allParts as live } from './protocol';

void describe('request families', () => {
  void it('share no request and no capability', () => {
    const requests = families.flatMap(({ requests }) => Object.keys(requests));
    assert.equal(new Set(requests).size, requests.length);
    const capabilities = families.flatMap((family) => Object.keys(family.capabilities?.(live) ?? {}));
    assert.equal(new Set(capabilities).size, capabilities.length);
  });

  void it('take back what needs a part that the target has not', () => {
    const dump = capabilitiesOf({ execution: false, breakpoints: false, places: false });
    const promised = Object.entries(capabilitiesOf(live));
    for (const [name] of promised) assert.ok(name in dump, `${name} would stay promised`);
    assert.equal(dump.supportsDataBreakpoints, false);
    assert.equal(dump.supportsSteppingGranularity, false);
    assert.equal(dump.supportsWriteMemoryRequest, false);
    assert.deepEqual(dump.exceptionBreakpointFilters, []);
    assert.equal(dump.supportsReadMemoryRequest, true);
    assert.equal(dump.supportsDisassembleRequest, true);
  });

  void it('take back places, and leave what stops by itself, where there are none', () => {
    const x86 = capabilitiesOf({ execution: true, breakpoints: true, places: false });
    for (const name of [
      'supportsFunctionBreakpoints',
      'supportsDataBreakpoints',
      'supportsGotoTargetsRequest',
    ] as const)
      assert.equal(x86[name], false, name);
    assert.equal(x86.supportsSteppingGranularity, false);
    assert.deepEqual(x86.breakpointModes, []);
    assert.equal(x86.supportsRestartRequest, true);
    assert.equal(x86.supportsExceptionFilterOptions, true);
  });
});
