// test-limit: 3600 s
/** Two hundred resets and reboots at random moments. */

import '../integration/resets.test';
