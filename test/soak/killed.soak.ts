/** Two hundred debuggers killed at random moments. */

import '../integration/killed.test';
