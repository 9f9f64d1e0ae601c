/** Thousands of hits of a conditional breakpoint in code that two processors run at once. */

import '../integration/breakpoints.test';
