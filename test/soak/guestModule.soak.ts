/** Tens of millions of hostile images, messages and hosts under sanitizers; sixty thousand packets through every change of way. */

import '../../src/engine/link/mailbox/hybridChannel.test';
import '../integration/guestModule.sanitizers.test';
