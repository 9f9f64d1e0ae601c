/**
 * Text for what VS Code shows as a notification or a dialog. It makes links of `[text](command:…)` there, which run commands; names
 * of a guest may hold such.
 */
export const withoutLinks = (text: string): string => text.replaceAll('](', '] (');
