/** A thousand loads and unloads. */

import '../integration/mailbox.takeover.test';
