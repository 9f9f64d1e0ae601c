/** Links over real Windows named pipes: linksInWindows.ts in Windows' Node under Wine. */

import { Wine } from '../fixtures/wine';
import { scenarios } from './linksInWindows';
import { testInWindows } from './scenarios';

testInWindows(await Wine.start(), 'test/wine/linksInWindows.ts', scenarios);
