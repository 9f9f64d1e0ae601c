/** Names that the manifest (package.json) and the code must agree on; a test compares them. */

/** Of debuggers in launch configurations, and of our settings. */
export const debugType = 'vmkd';

export const commands = {
  pickVm: 'vmkd.pickVm',
  attach: 'vmkd.attach',
  doctor: 'vmkd.doctor',
  openMemory: 'vmkd.openMemory',
  openMemoryOfVariable: 'vmkd.openMemoryOfVariable',
  openMemoryOfModule: 'vmkd.openMemoryOfModule',
  openMemoryOfThread: 'vmkd.openMemoryOfThread',
  openMemoryOfProcess: 'vmkd.openMemoryOfProcess',
  openMemoryOfCode: 'vmkd.openMemoryOfCode',
  openMemoryOfStackFrame: 'vmkd.openMemoryOfStackFrame',
  switchToThread: 'vmkd.switchToThread',
  loadSymbols: 'vmkd.loadSymbols',
  copyAddress: 'vmkd.copyAddress',
  refreshProcesses: 'vmkd.refreshProcesses',
  openDisassembly: 'vmkd.openDisassembly',
  disassembleLine: 'vmkd.disassembleLine',
  disassembleFrame: 'vmkd.disassembleFrame',
  disassembleStackFrame: 'vmkd.disassembleStackFrame',
  runToHere: 'vmkd.runToHere',
  pauseMachine: 'vmkd.pauseMachine',
  resumeMachine: 'vmkd.resumeMachine',
  resetMachine: 'vmkd.resetMachine',
  takeSnapshot: 'vmkd.takeSnapshot',
  revertToSnapshot: 'vmkd.revertToSnapshot',
  startCompanion: 'vmkd.startCompanion',
  stopCompanion: 'vmkd.stopCompanion',
  giveKernel: 'vmkd.giveKernel',
  takeKernel: 'vmkd.takeKernel',
  copyWindbgCommand: 'vmkd.copyWindbgCommand',
  launchWindbg: 'vmkd.launchWindbg',
  sessionMenu: 'vmkd.sessionMenu',
} as const;

export const views = {
  registers: 'vmkd.registers',
  modules: 'vmkd.modules',
  processes: 'vmkd.processes',
} as const;

/** Of editors that are webviews. */
export const panels = { memory: 'vmkd.memory', doctor: 'vmkd.doctorReport' } as const;

/** What `when` clauses ask. */
export const contexts = {
  /** There is a session. */
  session: 'vmkd.session',
  /** It has reached its kernel. */
  attached: 'vmkd.attached',
  /** The kernel of the active session stands. */
  stopped: 'vmkd.stopped',
  /** It has a pipe for WinDbg. */
  companion: 'vmkd.companion',
  /** The WinDbg at it: `drives`, `looksOn`; else there is none. */
  windbg: 'vmkd.windbg',
} as const;
