// test-limit: 7200 s
/** Debuggers killed, machines reset, memory scribbled over, many times each. */

import '../integration/mailbox.faults.test';
