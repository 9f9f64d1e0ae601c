/** Many packets of hostile debuggers beside a real session with a real kernel. */

import '../integration/companionHostile.test';
