/**
 * The vocabulary of failures. Every error that a person may meet has a code (stable, for machines and docs), a
 * sentence (what happened, with the particulars) and a next step (what to do about it). Nothing in the engine throws
 * a bare Error for a condition that input, a guest or an operating system can bring about.
 *
 * Invariant: each code stands in `vocabulary` once; the docs and `--json` output are derived from it.
 */

/** Code → the next step that is offered when the thrower knows none better. */
const vocabulary = {
  // The way to the virtual machine (engine/link)
  'link-bad-spec':
    'Write the link as unix:/path, tcp:host:port, pipe:name, or the same with “-listen” after the kind.',
  'link-not-found':
    'Is the virtual machine powered on, and does its serial port use this very name? VMware creates the pipe at power-on only.',
  'link-refused':
    'Nothing listens there. Power the virtual machine on, or swap the “server” and “client” ends of its serial port.',
  'link-denied': 'Run as the user who runs the virtual machine (on Windows: with the same elevation).',
  'link-busy': 'Another debugger or terminal holds the pipe. Close it, then attach again.',
  'link-in-use': 'Another program already listens under this name. End it, or choose another name.',
  'link-exposed':
    'Install the vmkd that is built for this system: its native part keeps the pipe to your account.',
  'link-timeout': 'The other end never connected. Power the virtual machine on, or give a longer time limit.',
  'link-lost': 'The virtual machine was powered off, or the pipe was closed. Attach again when it is up.',
  'link-failed': 'The operating system refused the link; its own words are in the message.',
  // Packets through guest memory (engine/link/mailbox)
  'mailbox-absent':
    'Load vmkd’s guest module in the guest for the fastest way. It is used as soon as it is there; nothing else changes.',
  'mailbox-failed':
    'Everything works over the serial port. docs/guest-module.md lists what each status means; the guest’s DbgPrint says it too.',
  'mailbox-left': 'The session goes on over the serial port, and comes back to the mailbox when it can.',
  'mailbox-damaged':
    'Something in the guest writes over the module’s memory. The session goes on over the serial port; reboot the guest.',
  'mailbox-gone':
    'The guest was reset, or the module’s memory is used by others. The mailbox is looked for anew.',
  // Who answers on it (engine/kd)
  'target-silent':
    'No byte came from the guest. Turn kernel debugging on in the guest (bcdedit /debug on; bcdedit /dbgsettings serial debugport:N) and reboot it.',
  'target-did-not-stop':
    'The guest may be busy, hung with interrupts off, or never reach that point. Try again, or pause and reset the machine.',
  'target-garbage':
    'Bytes came, but none that KD sends. Check the baud rate, and that this serial port is the one named in bcdedit /dbgsettings.',
  'target-32bit-protocol':
    'The guest speaks the KD protocol of Windows NT 4 or older. vmkd needs Windows XP or later.',
  'target-second-debugger': 'Another debugger is attached to this guest. Detach it, then attach again.',
  'target-not-acknowledging':
    'The guest sends but does not hear us. Check that the serial port is not read-only or half-open.',
  'target-no-reply':
    'The guest acknowledged the request but never answered. Break in again, or reset the guest.',
  'target-refused': 'The guest refused the request; its status says why.',
  'target-running': 'Break in first: the target is running.',
  'target-replaced':
    'Nothing to do: the session goes on with the kernel that is there now. What was changed in the one before is undone.',
  'target-not-attached': 'Attach first: there is no connection to a target.',
  'target-attached': 'Detach first, or use the connection that there is.',
  'target-unsupported': 'This target does not have that feature.',
  'request-unsure':
    'The link failed in mid-request; whether the guest carried the request out is unknown. Look at the state before you repeat it.',
  'protocol-violation': 'The peer broke the KD protocol. Record a packet trace (--trace FILE) and report it.',
  // The virtual machine around the target (engine/machine)
  'machine-unknown': 'Run “vmkd machines” to see what there is, or give the path of the .vmx file.',
  'machine-ambiguous': 'Give more of the name, or the whole path, of one of the machines in the message.',
  'machine-config-unreadable': 'Check that the .vmx file exists, and that you may read it.',
  'machine-config-encrypted':
    'Give the link itself (pipe:NAME or unix:/PATH) instead of the machine: vmkd does not decrypt configurations.',
  'machine-no-serial':
    'Power the machine off and give it a serial port that is a named pipe (a socket on Linux and macOS).',
  'machine-serial-unusable': 'Power the machine off and make its serial port a named pipe or a socket.',
  'machine-off': 'Power the machine on, then try again.',
  'machine-paused': 'Somebody has paused the machine. Resume it in its own program, then try again.',
  'machine-no-control':
    'Install vmrun, which comes with VMware Workstation, Player and Fusion, or say where it is with VMKD_VMRUN.',
  'machine-control-refused': 'The virtual machine’s own words are in the message.',
  'machine-control-timeout':
    'The machine’s program may be busy, or wait for an answer in a window of its own.',
  'machine-password-needed':
    'The machine is encrypted. Put the password of its encryption into the environment variable VMKD_VM_PASSWORD.',
  'machine-monitor-busy':
    'A QMP socket takes one client at a time. Close the other one, or give QEMU a second -qmp.',
  'machine-monitor-lost': 'QEMU has ended, or closed its monitor. Start the machine, then attach again.',
  'machine-ram-unreachable': 'Memory is read through KD instead, which is slow but right.',
  // The machine's memory as the host sees it (engine/machine/ram), and whether it is that of the target (engine/target)
  'ram-absent':
    'Say where the machine’s memory is (“guestRam” in launch.json), or go on: everything works over the debug port, slower.',
  'ram-unreadable':
    'Run as the user who runs the virtual machine, and check the path. It exists only while the machine is on.',
  'ram-truncated':
    'The file is not that of this machine as it is configured now, or was cut short. Restart the machine, or correct the size.',
  'ram-out-of-range': 'This is a defect in vmkd. Report it.',
  'ram-lost': 'Memory is read over the debug port now. Restart the machine if its memory file was replaced.',
  'ram-denied':
    'Run with more rights: on Windows as administrator; on Linux as root, or as the user who runs the virtual machine if the system lets him look into his processes (kernel.yama.ptrace_scope).',
  'ram-unmapped':
    'Restart the machine with its memory in a named file: mainMem.useNamedFile = "TRUE" in the .vmx on Windows.',
  'native-absent':
    'Files are read without it, more slowly. Install vmkd for this system, or build it (npm run build).',
  'native-refused':
    'Files are read without it, more slowly. The system’s own words are in the message; report them.',
  'ram-unsupported': 'This way to the machine’s memory needs vmkd’s native part, which is not there.',
  'ram-layout':
    'Correct the layout: QEMU’s “q35” has 2 GiB below the hole, its “pc” and VMware have 3 GiB, unless the machine says otherwise.',
  'ram-partial':
    'The machine has more memory than this file or mapping. Give the file that backs all of it, or correct the size.',
  'ram-stale':
    'The machine does not run on this file: give QEMU’s memory-backend-file share=on, or name the file of the running machine, not of a snapshot.',
  'ram-foreign':
    'This is the memory of another machine, or of another run of this one. Name the file of the machine behind the debug port.',
  'ram-encrypted':
    'The memory file of an encrypted virtual machine cannot be read. Remove the encryption and the virtual TPM, or go on over the debug port.',
  'ram-still': 'Resume the machine, or stop the kernel to look at it: what is in its memory may be old.',
  'ram-moved': 'Nothing to do: its memory is compared again when the kernel stops.',
  'ram-unproven': 'Nothing to do: it is tried again at the next stop.',
  // The pipe for another debugger (engine/companion)
  'companion-none':
    'Start one: “.kernel start” in the debug console, or “vmkd: Start the Pipe for WinDbg” in the palette.',
  'companion-present': 'Use it, or close it first: “.kernel stop” in the debug console.',
  'companion-absent': 'Attach WinDbg to the companion pipe, then hand over.',
  'companion-drives':
    'Take the kernel back first: “.kernel take” in the debug console, or “h” in the terminal of vmkd bridge.',
  // Values and files
  'value-out-of-range': 'Give a value within the limits named in the message.',
  'memory-unreadable': 'The address is not mapped, or paged out, in the current process context.',
  'expression-bad': 'Correct the expression.',
  'expression-refused': 'Use the debug console or the variables view to change the target.',
  'expression-limit': 'Ask for less: fewer elements, or a smaller part of the structure.',
  'value-unavailable':
    'Step to where the variable is in use, look at the registers, or build the driver without optimisation.',
  'symbols-not-loaded': 'Load the symbols of that module, then try again.',
  'unwind-stuck':
    'The stack or its unwind data is damaged here; the frames below are sound. Look at the raw stack.',
  'file-unwritable': 'Choose a path that can be written.',
  'file-unreadable': 'Check that the file exists and can be read.',
  'file-damaged': 'The file is not what its name says, or was cut short. Get it again from where it came.',
  'file-unsupported':
    'This kind of file is known but not read. Get it in another form, named in the message.',
  'symbol-path-bad':
    'Write the symbol path as srv*FOLDER*URL, cache*FOLDER, or plain folders, with “;” between them.',
  'symbol-name-refused':
    'The guest or the PDB gives a name that no symbol file can have. Load its symbols by hand, from a file you trust.',
  'symbols-not-found':
    'Put the folder with the PDB on the symbol path, or allow downloads and load the module’s symbols again.',
  'symbols-lack-type': 'This needs types. Load the kernel’s PDB with type information.',
  'symbols-mismatch':
    'Take the PDB of the very build that runs in the guest, or force this one if you know that it fits.',
  'name-unknown':
    'Search for it with wildcards (vmkd symbols FILE --search "*part*"), or load symbols that know it.',
  'name-ambiguous': 'Give one of the addresses in the message instead of the name.',
  'trace-damaged': 'The file is not a vmkd trace, or was cut short. Record it again.',
  // What a person asks for (adapter)
  'configuration-bad': 'Correct it in launch.json, then start again.',
  'request-bad': 'This is a defect of the editor or its debugger support. Report it there.',
  'request-stale': 'The kernel has run since. Refresh the view, or ask again.',
  cancelled: 'Nothing to do: the request was cancelled.',
  usage: 'Run “vmkd help”.',
  internal: 'This is a defect in vmkd. Report it with a packet trace (--trace FILE).',
} as const satisfies Record<string, string>;

export type ErrorCode = keyof typeof vocabulary;

export const errorCodes = Object.keys(vocabulary) as readonly ErrorCode[];

export class VmkdError extends Error {
  readonly code: ErrorCode;
  /** What the user can do about it: one or two sentences. */
  readonly nextStep: string;

  /** @param message One sentence that says what happened, with the particulars. */
  constructor(code: ErrorCode, message: string, options: { nextStep?: string; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? {} : { cause: options.cause });
    this.name = 'VmkdError';
    this.code = code;
    this.nextStep = options.nextStep ?? vocabulary[code];
  }

  toJSON(): { code: ErrorCode; message: string; nextStep: string } {
    return { code: this.code, message: this.message, nextStep: this.nextStep };
  }
}

/** Any thrown thing as a VmkdError: what is not one already is a defect, and says so. */
export function asVmkdError(thrown: unknown): VmkdError {
  if (thrown instanceof VmkdError) return thrown;
  const message = thrown instanceof Error ? thrown.message : String(thrown);
  return new VmkdError('internal', message, { cause: thrown });
}
