// test-limit: 3600 s
/** Five hundred steps, faster than VS Code can show them. */

import '../vscode/debugging.test';
