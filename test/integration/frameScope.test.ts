// test-limit: 180 s
/**
 * Expressions in frames of the running demo kernel. What its source says must be so is so: Middle is called with what
 * Outer computed, the nodes hold what VmkBuildNodes put there.
 */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { after, before, describe, it } from 'node:test';
import type { VirtualAddress } from '../../src/engine/core/addresses';
import { Access } from '../../src/engine/expr/access';
import { compile, evaluate } from '../../src/engine/expr/compile';
import { summary } from '../../src/engine/expr/format/summary';
import { Processors } from '../../src/engine/target/processors';
import { CodeScopes } from '../../src/engine/target/scope/codeScope';
import { FrameScope, type ScopeSource } from '../../src/engine/target/scope/frameScope';
import type { KernelSymbols } from '../../src/engine/windows/kernelSymbols';
import { bootForDebugging, breakIn, limit, type Attached } from '../fixtures/attached';
import { liveSymbols, unloadedSymbols } from '../fixtures/liveSymbols';

const cleanups: (() => void)[] = [];
let attached: Attached;
let symbols: KernelSymbols;
let source: ScopeSource;
let processors: Processors;

before(async () => {
  attached = await bootForDebugging();
  const { target } = attached;
  await target.attach(breakIn);
  symbols = await liveSymbols({ after: (action) => void cleanups.push(action) }, target);
  source = { symbols, codeScopes: new CodeScopes(symbols) };
  processors = new Processors({
    client: target.client,
    registers: target.registers,
    memory: target.memory,
    guestMemory: { isElsewhere: () => false, readAs: () => 0 },
    symbols,
  });
});
after(async () => {
  for (const cleanup of cleanups) cleanup();
  await attached.end();
});

async function runTo(address: VirtualAddress): Promise<number> {
  const { target } = attached;
  const breakpoint = await target.breakpoints.set(address);
  await target.resume();
  const { programCounter, processor } = await target.nextStop(limit);
  assert.equal(programCounter, address);
  await target.breakpoints.remove(breakpoint);
  processors.begin(target.stopped);
  return processor;
}

/** Code of the first line of work.c that holds a text, in the procedure that it belongs to. */
function lineWith(text: string): VirtualAddress {
  const module = symbols.moduleNamed('vmkdemo')!;
  const path = module.pdb!.sourcePaths.find((s) => s.path.endsWith('work.c'))!.path;
  const line = workSource(path).findIndex((l) => l.includes(text)) + 1;
  assert.ok(line > 0, text);
  return symbols.findLine({ path, line })[0]!.code.find((c) => c.first)!.address;
}

async function text(scope: FrameScope, expression: string): Promise<string> {
  const access = new Access(scope);
  return summary(access, await evaluate(expression, scope), { hex: false });
}

async function frameNamed(processor: number, name: string): Promise<FrameScope> {
  const { frames } = await processors.at(processor).stack();
  const index = frames.findIndex((f) => f.text.replace(/\+0x.*$/, '') === `vmkdemo!${name}`);
  assert.ok(index >= 0, name);
  const innermost = frames[index]!.frame === frames[0]!.frame;
  return FrameScope.of(source, frames[index]!, processors.at(processor), innermost);
}

void describe('expressions in a frame', () => {
  void it('locals, parameters and globals of the function that stands there', async () => {
    const processor = await runTo(lineWith('Node->Flags.Busy = !'));
    const scope = await frameNamed(processor, 'Middle');
    const value = Number(await text(scope, 'Value'));
    const id = Number(await text(scope, 'Node->Id'));
    assert.ok(id >= 1 && id <= 5);
    assert.equal(Number(await text(scope, 'Node->Flags.Priority')), value & 31);
    assert.equal(Number(await text(scope, 'Node->Flags.Signed')), -(value & 15));
    assert.match(
      await text(scope, 'Node->Name'),
      new RegExp(['alpha', 'bravo', 'chuck', 'delta', 'echo'][id - 1]!),
    );
    assert.equal(await text(scope, 'Node->Flags.Tail,x'), '0xabcd');
    assert.equal(await text(scope, 'sizeof(VMK_NODE) == sizeof(*Node)'), 'true');
    assert.equal(await text(scope, 'CONTAINING_RECORD(&Node->Colour, VMK_NODE, Colour) == Node'), 'true');
    assert.match(await text(scope, 'Node->Transform'), id % 2 === 1 ? /vmkdemo!Twice/ : /vmkdemo!Negate/);
    assert.equal(await text(scope, '*Node->Transform == vmkdemo!Twice'), String(id % 2 === 1));
    // A static of another function's file, by its own name.
    assert.equal(await text(scope, '(ULONG_PTR)&Nodes[Node->Id - 1] == (ULONG_PTR)Node'), 'true');
    assert.equal(await text(scope, 'VmkDemoLarge.Size == sizeof(VMK_LARGE)'), 'true');
  });

  void it('of callers, with what they had when they called', async () => {
    const processor = await runTo(lineWith('Node->Flags.Busy = !'));
    const [middle, outer, work] = [
      await frameNamed(processor, 'Middle'),
      await frameNamed(processor, 'Outer'),
      await frameNamed(processor, 'VmkDemoWork'),
    ];
    const outerValue = Number(await text(outer, 'Value'));
    assert.equal(Number(await text(middle, 'Value')), outerValue + Number(await text(outer, 'Node->Id')));
    assert.equal(outerValue, Number(await text(work, 'Value')) & 0xff);
    assert.equal(await text(outer, '&Node->Link == Link'), 'true');
    assert.equal(await text(work, 'Bytes[3] == (unsigned char)(Value + 3)'), 'true');
    // A volatile register of a caller is gone, and is said to be; a preserved one is not.
    await assert.rejects(evaluate('@rax + 1', outer), /rax/);
    assert.match(await text(outer, '@rsp'), /^(0x)?[0-9a-f]+|\d+/);
  });

  void it('registers and pseudo registers', async () => {
    const processor = await runTo(lineWith('Node->Flags.Busy = !'));
    const scope = await frameNamed(processor, 'Middle');
    const { rip, rax } = await processors.at(processor).context();
    assert.equal(BigInt(await text(scope, '(unsigned __int64)@rip')), rip);
    assert.equal(BigInt(await text(scope, '(int)@al')), rax & 0xffn);
    assert.equal(await text(scope, '@$ip == @rip'), 'true');
    assert.match(await text(scope, '@$ra'), /vmkdemo!Outer\+0x/);
    assert.match(await text(scope, '@$proc->ImageFileName'), /System/);
    assert.equal(await text(scope, '(__int64)@$proc->UniqueProcessId == 4'), 'true');
    assert.equal(await text(scope, '&@$thread->Tcb == (nt!_KTHREAD *)@$thread'), 'true');
    assert.equal(await text(scope, '@$thread->Tcb.Process == &@$proc->Pcb'), 'true');
    assert.match(await text(scope, 'nt!PsActiveProcessHead.Flink'), /^0xffff/i);
    await assert.rejects(evaluate('@$nonsense', scope), { code: 'expression-bad' });
  });

  void it('assignments reach the target', async () => {
    const processor = await runTo(lineWith('Node->Flags.Busy = !'));
    const scope = await frameNamed(processor, 'Middle');
    const before = await text(scope, 'Node->Flags.Tail');
    for (const value of ['0x1234', before]) {
      await evaluate(`Node->Flags.Tail = ${value}`, scope, { allowWrites: true });
      assert.equal(BigInt(await text(scope, 'Node->Flags.Tail')), BigInt(value));
    }
    const r11 = BigInt(await text(scope, '@r11'));
    await evaluate('@r11d = 0x55', scope, { allowWrites: true });
    assert.equal(await text(await frameNamed(processor, 'Middle'), '@r11'), '85');
    await evaluate(`@r11 = ${r11}`, scope, { allowWrites: true });
    await assert.rejects(evaluate('Node->Id = 1', scope), { code: 'expression-refused' });
  });

  void it('never load symbols, and ask the target nothing to find that they lack', async () => {
    const { target } = attached;
    const bare = await unloadedSymbols({ after: (action) => void cleanups.push(action) }, target);
    const bareSource = { memory: target.memory, symbols: bare, codeScopes: new CodeScopes(bare) };
    const processor = processors.at(target.stopped.change.processor);
    const scope = await FrameScope.top(bareSource, processor);
    const sent = target.client.statistics!.packetsSent;
    for (const name of ['vmkdemo!VmkDemoCounter', 'VmkDemoCounter', 'nt!PsActiveProcessHead.Flink'])
      await assert.rejects(evaluate(name, scope), { code: 'symbols-not-loaded' }, name);
    assert.equal(target.client.statistics!.packetsSent, sent);
    assert.deepEqual(
      bare.modules.map(({ state }) => state.kind),
      bare.modules.map(() => 'unloaded'),
    );
    const nearby = await FrameScope.top(source, processor);
    assert.match(await text(nearby, 'vmkdemo!VmkDemoCounter'), /^\d+$/);
  });

  void it('conditions are evaluated without walking the stack', async () => {
    const condition = compile('Node->Id == 3 && Value > 0');
    let hits = 0;
    for (let i = 0; i < 5; i++) {
      await runTo(symbols.search('vmkdemo!Innermost', 1)[0]!.address);
      const processor = await runTo(lineWith('Node->Flags.Busy = !'));
      if (await condition.test(await FrameScope.top(source, processors.at(processor)))) hits++;
    }
    // Five nodes in turn.
    assert.equal(hits, 1);
  });

  void it('inlined functions have variables of their own; what was optimised away says so', async () => {
    const module = symbols.moduleNamed('vmkdemo')!;
    const path = module.pdb!.sourcePaths.find((s) => s.path.endsWith('inlines.c'))!.path;
    const line = workSource(path).findIndex((l) => l.includes('State ^= Byte;')) + 1;
    const code = symbols.findLine({ path, line }).flatMap((m) => m.code);
    const at = code.find((c) => c.inlined && symbols.nameOf(c.address)?.includes('VmkDemoChecksum'))!;
    const processor = await runTo(at.address);
    const { frames } = await processors.at(processor).stack();
    const [inner, outer] = await Promise.all(
      [0, 1].map((i) => FrameScope.of(source, frames[i]!, processors.at(processor), true)),
    );
    const names = (scope: FrameScope): string[] =>
      scope
        .variables()
        .map(({ local }) => local.name)
        .sort();
    assert.deepEqual(names(inner!), ['Byte', 'State']);
    assert.deepEqual(names(outer!), ['Bytes', 'I', 'Length', 'State']);
    for (const variable of [...inner!.variables(), ...outer!.variables()]) {
      const place = await variable.locate();
      if (place.kind === 'unavailable')
        assert.match(place.reason, /optimised out|not available/, variable.local.name);
    }
  });
});

function workSource(path: string): string[] {
  return readFileSync(path, 'utf8').split('\n');
}
