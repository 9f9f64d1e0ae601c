/** What debuggers call a module: what stands before the `!` of a symbol. */

/** NT's kernels go by one name, whatever their file is called. */
const kernels: readonly string[] = ['ntoskrnl', 'ntkrnlmp', 'ntkrnlpa', 'ntkrpamp'];

/** Without folders and extension; what no identifier holds becomes `_`. */
export function moduleNameOf(file: string): string {
  const stem = file.replace(/^.*[\\/]/s, '').replace(/\.[^.]*$/, '');
  return kernels.includes(stem.toLowerCase()) ? 'nt' : stem.replace(/[^\p{L}\p{N}_]/gu, '_');
}

/** `text` without `module!`; undefined if it names another module. */
export function withoutModule(moduleName: string, text: string): string | undefined {
  const at = text.indexOf('!');
  if (at < 0) return text;
  const isSame = moduleNameOf(text.slice(0, at)).toLowerCase() === moduleName.toLowerCase();
  return isSame ? text.slice(at + 1) : undefined;
}
