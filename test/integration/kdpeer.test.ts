/** The demo kernel's KD stub, checked by a debugger that shares no code with ours. The whole of it is a soak test. */
// test-limit: 300 s

import { test } from 'node:test';
import { runKdpeer } from '../kernel/kdpeer/run';

test('an independent debugger finds NT’s protocol in the demo kernel', () =>
  runKdpeer(['--skip', 'noise,soak'], 240_000, 250));
