/** Ten minutes without a host. */

import '../integration/mailbox.idle.test';
