/**
 * Attaches for no other purpose than to let the kernel go: what a session that is dead, or was broken off, has left in it is
 * taken out, and if it was stopped, it runs.
 */

import type { LinkEndpoint } from '../../link/link';
import { checkSymbolFile } from '../../symbols/store/fileCheck';
import { httpGet } from '../../symbols/store/http';
import { SymbolStore } from '../../symbols/store/symbolStore';
import { attachKernel } from '../kernelTarget';

/** @param limits Milliseconds: for the link to be free, for the kernel to answer. @throws as attachKernel */
export async function letGo(
  endpoint: LinkEndpoint,
  stateFolder: string,
  limits: { readonly link: number; readonly attach: number },
): Promise<void> {
  const target = await attachKernel({
    endpoint,
    linkMilliseconds: limits.link,
    milliseconds: limits.attach,
    breakIn: true,
    stateFolder,
    store: new SymbolStore({ path: [], defaultCache: '', check: checkSymbolFile, get: httpGet({}) }),
  });
  await target.execution.release();
}
