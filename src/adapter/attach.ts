/** Attaching: the link, the kernel behind it, the symbols that a first look needs; then the client may set breakpoints. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { systemClock } from '../engine/core/clock';
import { VmkdError, asVmkdError, type ErrorCode } from '../engine/core/errors';
import { sessionsFolder } from '../engine/core/userFolder';
import { createEndpoint } from '../engine/link/endpoint';
import type { LinkEndpoint } from '../engine/link/link';
import { TraceWriter } from '../engine/link/trace';
import { defaultCacheFolder } from '../engine/symbols/store/cacheFolder';
import { checkSymbolFile } from '../engine/symbols/store/fileCheck';
import { httpGet } from '../engine/symbols/store/http';
import { parseSymbolPath, symbolPathFrom } from '../engine/symbols/store/symbolPath';
import { SymbolStore } from '../engine/symbols/store/symbolStore';
import { ParkedNote } from '../engine/machine/parkedNote';
import { Guardian } from '../engine/target/guard/guardian';
import { letGo } from '../engine/target/guard/letGo';
import { attachKernel, type KernelTarget } from '../engine/target/kernelTarget';
import { CompanionPipe } from './companionPipe';
import { errorText } from './errors';
import { followLive } from './live';
import { mailboxAnnouncedBy, wayTo } from './machineWay';
import { followModules } from './moduleEvents';
import { guestText } from './output';
import { startParking } from './parking';
import { stylePrint } from './printStyle';
import type { Report } from './progress';
import { allParts, type Call } from './protocol';
import type { Session } from './session';
import { followTarget } from './stopEvents';
import { SymbolLoading } from './symbolLoading';
import { followTransport } from './transportEvents';

/** @throws link-*, target-*, machine-*, symbol-path-bad, file-unwritable, cancelled */
export async function attach(session: Session, call: Call): Promise<void> {
  const { id: request, signal } = call;
  const link = await session.progress.run('Attaching to the kernel', { request, signal }, (report) =>
    reach(session, report),
  );
  session.events.send('process', {
    name: `Windows kernel on ${link}`,
    isLocalProcess: false,
    startMethod: 'attach',
    pointerSize: session.target.machine === 'x64' ? 64 : 32,
  } satisfies P.ProcessEvent['body']);
  announceCapabilities(session);
  session.phase = 'configuring';
  session.events.send('initialized');
}

/** Says how far it is: the machine, its port, the kernel, its memory, its symbols. @returns The link */
async function reach(session: Session, report: Report): Promise<string> {
  const { timeouts, symbolPath, trace, transport } = session.configuration;
  report.update('Looking for the machine');
  const { link, guestRam, machine } = await wayTo(session.configuration);
  const store = symbolStore(symbolPath ?? symbolPathFrom(process.env));
  const endpoint = createEndpoint(link, systemClock, {
    onExposed: (error) => session.output.line('important', errorText(error)),
  });
  session.atEnd.push(() => endpoint.dispose());
  let opened = false;
  const stateFolder = sessionsFolder();
  if (report.signal.aborted) throw new VmkdError('cancelled', 'Attaching was cancelled');
  session.guardian = new Guardian({ link, stateFolder });
  const parking = await startParking(session, machine, new ParkedNote(stateFolder, link));
  session.machine = machine;
  session.parking = parking;
  const name = machine instanceof VmkdError ? link.replace(/^.*[\\/:]/, '') : machine.name;
  const companion = companionOf(session, name);
  report.update(`${name}: waiting for ${link}`);
  const target = await attachKernel({
    endpoint: watched(endpoint, () => {
      opened = true;
      report.update(`${name}: waiting for a kernel to answer at ${link}`);
    }),
    onAnswer: () => report.update(`${name}: a kernel answers; looking for its memory in the machine’s RAM`),
    store,
    linkMilliseconds: timeouts.link * 1000,
    milliseconds: timeouts.attach * 1000,
    stopMilliseconds: timeouts.breakIn * 1000,
    // To look at it, and for its breakpoints; whether it stays stopped is decided when the client is ready.
    breakIn: true,
    signal: report.signal,
    stateFolder,
    guestRam,
    transport: transport === 'auto' ? 'mailbox' : transport,
    announcedMailbox: () => mailboxAnnouncedBy(machine),
    ...(parking && { whileAwake: (action) => parking.use(action) }),
    ...(trace === undefined ? {} : { trace: openTrace(session, trace, link) }),
    observer: {
      relay: (packet) => companion.relay(packet),
      onPrint: ({ text }) => session.output.write('stdout', printed(session, text)),
      onPrompt: ({ prompt }) => session.prompts.ask(prompt),
      onError: (error) => session.output.line('stderr', errorText(error)),
    },
  }).catch(async (thrown: unknown) => {
    // It may have been stopped already, or stop yet: a break-in is on its way.
    if (opened && !isNobody(asVmkdError(thrown).code))
      await letGo(endpoint, stateFolder, letGoLimits).catch(() => undefined);
    throw thrown;
  });
  const loading = new SymbolLoading(session, target);
  session.takeTarget(target, loading);
  const { memory } = target.transport.state;
  report.update(`${name}: loading symbols; memory is read ${memory === undefined ? 'by KD' : 'in RAM'}`);
  await loading.first(report.signal);
  followTarget(session, target);
  followTransport(session, target.transport);
  followLive(session, target);
  parking?.follow(target);
  companion.follow(target);
  followModules(session, target);
  obeyStopAt(session, target);
  loading.inBackground();
  return link;
}

/** @param name Of its pipes, unless somebody gives another. @throws link-bad-spec, link-denied */
function companionOf(session: Session, name: string): CompanionPipe {
  const { companionTrace: file } = session.configuration;
  const trace = file === undefined ? undefined : openTrace(session, file, name);
  const companion = new CompanionPipe(session, { name, trace });
  session.companion = companion;
  session.atEnd.push(() => companion.close());
  return companion;
}

/** Coloured, where the client can show that. */
const printed = ({ client }: Session, text: string): string =>
  client.supportsANSIStyling === true ? stylePrint(guestText(text)) : guestText(text);

/** The same endpoint; `onOpen` hears of each link. */
const watched = (endpoint: LinkEndpoint, onOpen: () => void): LinkEndpoint => ({
  spec: endpoint.spec,
  async open(options) {
    const link = await endpoint.open(options);
    onOpen();
    return link;
  },
  diagnoseSilence: async (link) => endpoint.diagnoseSilence?.(link),
  dispose: () => endpoint.dispose(),
});

/** Milliseconds, for a kernel whose attach was broken off. */
const letGoLimits = { link: 1000, attach: 5000 };

/** Whoever is there, no kernel of ours has answered: there is nothing to let go. */
const isNobody = (code: ErrorCode): boolean => code.startsWith('link-') || nobody.has(code);

const nobody: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'target-silent',
  'target-garbage',
  'target-second-debugger',
  'target-32bit-protocol',
  'target-not-acknowledging',
  'target-unsupported',
  'machine-paused',
]);

/** Where the configuration wants stops that no breakpoint makes. Clients that know exception filters may add to them. */
function obeyStopAt({ configuration, output, ended }: Session, target: KernelTarget): void {
  const { initialBreakpoint, modules } = configuration.stopAt;
  const { breakpoints } = target;
  breakpoints.exceptionRule = { ...breakpoints.exceptionRule, moduleLoads: modules };
  if (!initialBreakpoint) return;
  target.onModules.add(({ kind, module }) => {
    // The kernel itself is new after a boot, and the first of all.
    if (kind !== 'added' || module.alias !== 'nt') return;
    const milliseconds = configuration.timeouts.breakIn * 1000;
    target.execution.pause(milliseconds, ended.signal).catch((thrown: unknown) => {
      const error = asVmkdError(thrown);
      if (error.code !== 'cancelled') output.line('stderr', errorText(error));
    });
  });
}

/** What was promised before the target was known, and it lacks. */
function announceCapabilities({ host, target, events, output }: Session): void {
  const { execution, breakpoints, withoutPlaces } = target;
  const parts = {
    execution: execution !== undefined,
    breakpoints: breakpoints !== undefined,
    places: breakpoints !== undefined && withoutPlaces === undefined,
  };
  if (withoutPlaces !== undefined) output.line('important', errorText(withoutPlaces));
  const now = new Map(Object.entries(host.capabilities(parts)));
  const changed = Object.entries(host.capabilities(allParts))
    .filter(([name, value]) => JSON.stringify(now.get(name)) !== JSON.stringify(value))
    .map(([name]) => [name, now.get(name)] as const);
  if (changed.length > 0) events.send('capabilities', { capabilities: Object.fromEntries(changed) });
}

function openTrace(session: Session, file: string, link: string): TraceWriter {
  const trace = new TraceWriter(file, link, systemClock, (error) =>
    session.output.line('stderr', errorText(error)),
  );
  session.atEnd.push(() => trace.close());
  return trace;
}

function symbolStore(symbolPath: string): SymbolStore {
  const cache = defaultCacheFolder(process.env);
  return new SymbolStore({
    path: parseSymbolPath(symbolPath, cache),
    defaultCache: cache,
    check: checkSymbolFile,
    get: httpGet({}),
  });
}
