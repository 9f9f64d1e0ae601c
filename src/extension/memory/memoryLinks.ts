/**
 * Links to memory in the debug console: VS Code makes one of anything that looks like a URL, and hands those with its own scheme to
 * the extension that they name. The adapter puts them below what it shows of memory (`VMKD_MEMORY_LINK`, to which it adds an address).
 *
 *   vscode://vmkd.vmkd/memory?SESSION&0xfffff80312345678
 *
 * Any program can open such a URL, and any page after a question: all it can do is to show memory of a session that is there.
 */

const authority = 'vmkd.vmkd';
const linkPath = '/memory';

/** What an address has to be added to. @param scheme Of this VS Code's own URLs. */
export const memoryLink = (scheme: string, sessionId: string): string =>
  `${scheme}://${authority}${linkPath}?${sessionId}&`;

/** @returns undefined: it is no such link */
export function readMemoryLink(uri: {
  readonly path: string;
  readonly query: string;
}): { readonly sessionId: string; readonly address: string } | undefined {
  const [, sessionId, address] = /^([\w-]{1,64})&(0x[0-9a-f]{1,16})$/.exec(uri.query) ?? [];
  if (uri.path !== linkPath || sessionId === undefined || address === undefined) return undefined;
  return { sessionId, address };
}
