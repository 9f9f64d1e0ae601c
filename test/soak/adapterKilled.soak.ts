/** Two hundred debug adapters killed at random moments. */

import '../integration/adapter.killed.test';
