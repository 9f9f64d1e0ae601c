/** Debuggers that come and go, 10,000 times: on the bridge, and beside a session. */

import '../integration/companionCycles.test';
