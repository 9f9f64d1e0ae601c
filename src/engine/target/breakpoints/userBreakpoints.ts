/**
 * What the user wants to stop at, and what became of it.
 *
 *   request ──Binder──▶ addresses ──▶ locations ──▶ sites (int3) or debug registers
 *      ▲                                  │
 *      └── again, when a module comes ────┘ gone, when it goes
 *
 * A location is what owns a place: who comes there has hit its breakpoint. Whether that is news is its rule's business, and
 * asked here, without anybody else hearing of it.
 *
 * Invariants: all changes are made while the target stands still; a breakpoint that is not where the user wants it says why.
 */

import type { VirtualAddress } from '../../core/addresses';
import { VmkdError, asVmkdError } from '../../core/errors';
import { Listeners } from '../../core/listeners';
import { breakpointSlots } from '../../kd/manipulate/breakpoint';
import type { WatchKind } from '../../cpu/debugRegisters';
import type { KernelSymbols } from '../../windows/kernelSymbols';
import type { ModuleSymbols } from '../../windows/moduleSymbols';
import type {
  BreakpointLocation,
  BreakpointPlace,
  BreakpointRequest,
  BreakpointStatus,
  Breakpoints,
  ExceptionRule,
  HitRule,
  TargetProcessor,
  UserBreakpoint,
} from '../target';
import type { Anchor, Binder, Binding, BoundCode } from './binding';
import type { CodeSites } from './codeSites';
import { slotCount, type DebugSlots } from './debugSlots';
import { watchPieces } from './watchPieces';

/** One place of a breakpoint; it owns a site or a debug register. */
class Location {
  /** Undefined: it has a register of its own instead. */
  site: 'site' | 'register' = 'site';

  constructor(
    readonly breakpoint: Managed,
    readonly address: VirtualAddress,
    readonly source: BoundCode['source'],
  ) {}
}

class Managed implements UserBreakpoint {
  status: BreakpointStatus = { kind: 'pending', message: 'It is being set' };
  hitCount = 0;
  locations: Location[] = [];
  anchor: Anchor | undefined;
  rule: HitRule | undefined;
  /** Why it cannot be, or what is worth knowing. */
  binding: Binding = { kind: 'pending', message: '' };
  removed = false;
  /** Why it has lost its place. */
  lost = 'Its place is gone';

  constructor(
    readonly id: number,
    readonly request: BreakpointRequest,
  ) {
    this.rule = request.rule;
  }
}

export interface BreakpointParts {
  /** Does something while the target stands still. @throws target-did-not-stop, after a limit */
  readonly atRest: <T>(action: () => Promise<T>) => Promise<T>;
  readonly sites: CodeSites;
  readonly slots: DebugSlots;
  readonly binder: Binder;
  readonly symbols: KernelSymbols;
  /** @throws target-unsupported where no breakpoints are. */
  mustSupport(): void;
}

export class UserBreakpoints implements Breakpoints {
  readonly onChange = new Listeners<UserBreakpoint>();
  exceptionRule: ExceptionRule = {
    bugchecks: true,
    firstChance: 'none',
    codeBreakpoints: true,
    moduleLoads: [],
    moduleUnloads: [],
  };
  readonly #all = new Map<number, Managed>();
  #nextId = 1;
  /** Why none of them is in the target; undefined: they are. */
  #asleep: string | undefined;

  constructor(private readonly parts: BreakpointParts) {}

  get all(): readonly UserBreakpoint[] {
    return [...this.#all.values()];
  }

  async add(request: BreakpointRequest): Promise<UserBreakpoint> {
    this.parts.mustSupport();
    const breakpoint = new Managed(this.#nextId++, request);
    if (this.#asleep !== undefined) {
      this.#anchor(breakpoint);
      this.#all.set(breakpoint.id, breakpoint);
      this.#tell(breakpoint);
      return breakpoint;
    }
    await this.parts.atRest(async () => {
      this.#anchor(breakpoint);
      this.#all.set(breakpoint.id, breakpoint);
      try {
        await this.#bind(breakpoint);
      } catch (error) {
        this.#drop(breakpoint);
        throw error;
      }
    });
    return breakpoint;
  }

  async remove(breakpoint: UserBreakpoint): Promise<void> {
    const managed = this.#all.get(breakpoint.id);
    if (managed === undefined || managed !== breakpoint) return;
    // From now on nobody is stopped by it; its int3 goes when the target stands still.
    this.#drop(managed);
    if (this.#asleep === undefined) await this.parts.atRest(() => Promise.resolve());
  }

  /** None of them is in the target from now on, and all are kept. @param why For people. */
  sleep(why: string): void {
    this.#asleep = why;
    this.refresh();
  }

  /** They come back when the target next runs. To be called while it stands still. */
  async wake(): Promise<void> {
    this.#asleep = undefined;
    await this.bindAll();
  }

  /** What is an address now is kept as a place in a module. */
  #anchor(breakpoint: Managed): void {
    const { place } = breakpoint.request;
    if (place.kind === 'instruction' || place.kind === 'data')
      breakpoint.anchor = this.parts.binder.anchorOf(place.address);
  }

  change(breakpoint: UserBreakpoint, rule: HitRule | undefined): void {
    const managed = this.#all.get(breakpoint.id);
    if (managed !== undefined && managed === breakpoint) managed.rule = rule;
  }

  /** Nobody waits for anything any more: the target is let go. */
  clear(): void {
    for (const breakpoint of [...this.#all.values()]) this.#drop(breakpoint);
  }

  // --- hits

  /** The breakpoints among the owners of places that were hit, whose rules say that the target shall stop. */
  async judge(owners: readonly object[], processor: TargetProcessor): Promise<readonly UserBreakpoint[]> {
    const stopping: UserBreakpoint[] = [];
    const hit = new Set(
      owners.flatMap((owner) =>
        owner instanceof Location && !owner.breakpoint.removed ? [owner.breakpoint] : [],
      ),
    );
    for (const breakpoint of hit) if (await stops(breakpoint, processor)) stopping.push(breakpoint);
    return stopping;
  }

  // --- modules come and go

  /** A module is there, or got its symbols. To be called while the target stands still. */
  async bindIn(module: ModuleSymbols): Promise<void> {
    for (const breakpoint of [...this.#all.values()])
      if (this.#mayBindIn(breakpoint, module)) await this.#bind(breakpoint);
  }

  /** Whether `bindIn` would do anything: asks nothing of the target. */
  wants(module: ModuleSymbols): boolean {
    return [...this.#all.values()].some((breakpoint) => this.#mayBindIn(breakpoint, module));
  }

  /** Whether anything waits for modules that may come: then their symbols are worth loading at once. */
  get waits(): boolean {
    return [...this.#all.values()].some(({ request }) => request.place.kind !== 'data');
  }

  /** A module goes, and with it what was in it. */
  leave(base: VirtualAddress, size: number): void {
    for (const breakpoint of this.#all.values()) {
      const here = breakpoint.locations.filter(
        ({ address }) => address >= base && address - base < BigInt(size),
      );
      if (here.length === 0) continue;
      for (const location of here) this.#give(location);
      breakpoint.locations = breakpoint.locations.filter((location) => !here.includes(location));
      breakpoint.lost = 'Its module was unloaded';
      this.#tell(breakpoint);
    }
  }

  /** Another kernel runs: nothing is where it was. */
  unbindAll(): void {
    for (const breakpoint of this.#all.values()) {
      breakpoint.locations = [];
      breakpoint.lost = 'The target was rebooted';
      this.#tell(breakpoint);
    }
  }

  async bindAll(): Promise<void> {
    for (const breakpoint of [...this.#all.values()]) await this.#bind(breakpoint);
  }

  /** What was decided about a place when it was planted: another mechanism, a page that came in, a refusal. */
  refresh(): void {
    for (const breakpoint of this.#all.values()) this.#tell(breakpoint);
  }

  #mayBindIn({ request, anchor }: Managed, module: ModuleSymbols): boolean {
    const { place } = request;
    if (place.kind === 'data' || place.kind === 'instruction') return anchor?.module?.alias === module.alias;
    return this.parts.binder.matches(place, module);
  }

  async #bind(breakpoint: Managed): Promise<void> {
    const { request, anchor } = breakpoint;
    const { place } = request;
    if (place.kind === 'data') this.#bindData(breakpoint, place);
    else {
      const binding = await this.parts.binder.bind(place, anchor);
      breakpoint.binding = binding;
      await this.#settle(breakpoint, binding.kind === 'bound' ? binding.code : []);
    }
    this.#tell(breakpoint);
  }

  /** Makes the locations of a breakpoint those that it shall have. */
  async #settle(breakpoint: Managed, code: readonly BoundCode[]): Promise<void> {
    const { request } = breakpoint;
    const kept = breakpoint.locations.filter(({ address }) => code.some((one) => one.address === address));
    for (const location of breakpoint.locations) if (!kept.includes(location)) this.#give(location);
    breakpoint.locations = kept;
    for (const { address, source } of code) {
      if (kept.some((location) => location.address === address)) continue;
      const location = new Location(breakpoint, address, source);
      if (request.mode === 'hardware') {
        if (!this.#takeRegister(location, 'execute', 1)) return;
      } else await this.parts.sites.claim(address, location);
      breakpoint.locations.push(location);
    }
  }

  #bindData(breakpoint: Managed, place: BreakpointPlace & { kind: 'data' }): void {
    for (const location of breakpoint.locations) this.#give(location);
    breakpoint.locations = [];
    const at = breakpoint.anchor && this.parts.binder.find(breakpoint.anchor);
    if (at === undefined) {
      const alias = breakpoint.anchor?.module?.alias ?? 'Its module';
      breakpoint.binding = { kind: 'pending', message: `${alias} is not loaded` };
      return;
    }
    const pieces = watchPieces(at, place.size);
    if (pieces === undefined || pieces.length > this.parts.slots.free) {
      const registers = `${pieces?.length ?? `more than ${slotCount}`} debug registers`;
      const message = `${place.size} bytes there take ${registers}; ${this.parts.slots.free} of ${slotCount} are free. Watch less, or remove another.`;
      breakpoint.binding = { kind: 'failed', message };
      return;
    }
    breakpoint.binding = { kind: 'bound', code: [], notes: [] };
    for (const { address, size } of pieces) {
      const location = new Location(breakpoint, address, undefined);
      this.#takeRegister(location, place.access, size);
      breakpoint.locations.push(location);
    }
  }

  #takeRegister(location: Location, kind: WatchKind, size: number): boolean {
    location.site = 'register';
    try {
      this.parts.slots.claim({ address: location.address, kind, size, owner: location });
      return true;
    } catch (thrown) {
      if (!(thrown instanceof VmkdError)) throw thrown;
      location.breakpoint.binding = { kind: 'failed', message: `${thrown.message}. ${thrown.nextStep}` };
      for (const other of location.breakpoint.locations) this.#give(other);
      location.breakpoint.locations = [];
      return false;
    }
  }

  #give(location: Location): void {
    if (location.site === 'register') this.parts.slots.release(location);
    else this.parts.sites.release(location.address, location);
  }

  #drop(breakpoint: Managed): void {
    breakpoint.removed = true;
    this.#all.delete(breakpoint.id);
    for (const location of breakpoint.locations) this.#give(location);
    breakpoint.locations = [];
  }

  #tell(breakpoint: Managed): void {
    const status = this.#statusOf(breakpoint);
    if (isSame(status, breakpoint.status)) return;
    breakpoint.status = status;
    this.onChange.tell(breakpoint);
  }

  #statusOf({ binding, locations, lost }: Managed): BreakpointStatus {
    if (this.#asleep !== undefined) return { kind: 'pending', message: this.#asleep };
    if (locations.length === 0) {
      if (binding.kind === 'bound') return { kind: 'pending', message: lost };
      return binding;
    }
    const owed = locations.filter((location) => this.#isOwed(location));
    if (owed.length === locations.length)
      return { kind: 'pending', message: 'Its page is not in memory; KD sets it when the page comes in' };
    const problem = locations.flatMap(({ address }) => this.parts.sites.at(address)?.problem ?? [])[0];
    if (problem !== undefined) return { kind: 'failed', message: `${problem.message}. ${problem.nextStep}` };
    const notes = binding.kind === 'bound' ? binding.notes : [];
    const waiting = owed.length > 0 ? [`${owed.length} of them wait for their pages`] : [];
    const message = [...this.#mechanisms(locations), ...notes, ...waiting].join('; ');
    return { kind: 'bound', locations: locations.map((location) => this.#shown(location)), message };
  }

  #isOwed(location: Location): boolean {
    const site = location.site === 'site' ? this.parts.sites.at(location.address) : undefined;
    return site !== undefined && site.original === undefined && site.mechanism === 'kd-table';
  }

  #shown(location: Location): BreakpointLocation {
    const { address, source } = location;
    const mechanism =
      location.site === 'register' ? 'hardware' : (this.parts.sites.at(address)?.mechanism ?? 'kd-table');
    return { address, mechanism, source };
  }

  #mechanisms(locations: readonly Location[]): string[] {
    const words = new Set<string>();
    for (const location of locations) {
      const site = location.site === 'site' ? this.parts.sites.at(location.address) : undefined;
      if (location.site === 'register')
        words.add(`hardware slot ${this.parts.slots.slotOf(location) ?? '?'}`);
      else if (site?.isOwn) words.add('an int3 of the code itself');
      else if (site?.mechanism === 'int3')
        words.add(`an int3 of our own, as KD's table of ${breakpointSlots} is full`);
      else words.add(`KD's table of ${breakpointSlots}`);
      if (site?.isUnguarded)
        words.add(
          'another processor may run past it while a thread is stepped over it: all debug registers are in use',
        );
    }
    return [...words];
  }
}

async function stops(breakpoint: Managed, processor: TargetProcessor): Promise<boolean> {
  const { rule } = breakpoint;
  try {
    if (rule?.condition && !(await rule.condition(processor))) return false;
    breakpoint.hitCount++;
    if (rule?.hits && !rule.hits(breakpoint.hitCount)) return false;
    if (!rule?.log) return true;
    await rule.log(processor);
    return false;
  } catch (thrown) {
    rule?.onError?.(asVmkdError(thrown));
    return true;
  }
}

function isSame(a: BreakpointStatus, b: BreakpointStatus): boolean {
  if (a.message !== b.message) return false;
  if (a.kind !== 'bound' || b.kind !== 'bound') return a.kind === b.kind;
  return (
    a.locations.length === b.locations.length &&
    a.locations.every((one, i) => isSamePlace(one, b.locations[i]!))
  );
}

const isSamePlace = (a: BreakpointLocation, b: BreakpointLocation): boolean =>
  a.address === b.address &&
  a.mechanism === b.mechanism &&
  a.source?.path === b.source?.path &&
  a.source?.line === b.source?.line;
