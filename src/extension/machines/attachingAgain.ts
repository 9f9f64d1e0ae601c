/** What attaches anew to a machine that was taken back to a snapshot: a launch would take it back to its own. */

/** @param configuration As a session has it. */
export function attachingAgain<Configuration extends { readonly request: string }>(
  configuration: Configuration & { readonly snapshot?: unknown },
): Configuration {
  const { snapshot: _, ...others } = configuration;
  return { ...(others as unknown as Configuration), request: 'attach' };
}
