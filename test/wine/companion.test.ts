/** The companion pipe as a real Windows named pipe: companionInWindows.ts in Windows' Node under Wine. */

import { Wine } from '../fixtures/wine';
import { scenarios } from './companionInWindows';
import { testInWindows } from './scenarios';

testInWindows(await Wine.start(), 'test/wine/companionInWindows.ts', scenarios);
