/** Names that the manifest (package.json) and the code must agree on; a test compares them. */

/** Of debuggers in launch configurations. */
export const debugType = 'vmkd';
