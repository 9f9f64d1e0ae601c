/**
 * Expressions on the demo kernel while it stands still: its lists of processes and modules, walked by the types of its own
 * PDB over KD, are those that its own console prints; what is assigned is what the kernel then has.
 */

import assert from 'node:assert/strict';
import { it } from 'node:test';
import { Access } from '../../src/engine/expr/access';
import { indexedChildren } from '../../src/engine/expr/children';
import { compile, evaluate, type Item } from '../../src/engine/expr/compile';
import type { EvaluationContext } from '../../src/engine/expr/context';
import { summary } from '../../src/engine/expr/format/summary';
import { compileLogMessage } from '../../src/engine/expr/logMessage';
import { contextX64 } from '../../src/engine/cpu/contextX64';
import type { LiveTarget } from '../../src/engine/target/liveTarget';
import { bootForDebugging, breakIn, limit } from '../fixtures/attached';
import { SampleContext, sampleModule } from '../fixtures/expressionContext';

const display = { hex: false };
const images = 'build/kernel/images';

async function contextOf(target: LiveTarget): Promise<EvaluationContext> {
  const context = new SampleContext();
  for (const { name, base } of await target.modules()) {
    const [stem] = name.split('.') as [string];
    const files = { image: `${images}/${name}`, pdb: `${images}/${stem}.pdb` };
    context.modules.push(sampleModule(stem === 'ntoskrnl' ? 'nt' : stem, base, files));
  }
  const registers = await target.registers.context();
  assert.ok('rip' in registers);
  for (const name of ['rip', 'rsp', 'rcx'] as const) {
    assert.ok(name in contextX64.fields);
    context.registers.set(name, { size: 8, value: registers[name] });
  }
  return Object.assign(context, {
    memory: target.memory,
    write: (...[address, bytes]: Parameters<LiveTarget['memory']['write']>) =>
      target.memory.write(address, bytes),
  });
}

it('reads what the kernel itself prints, and writes what it then has', async (t) => {
  const attached = await bootForDebugging();
  const { target, machine } = attached;
  try {
    const processes = await machine.console.command('processes');
    const modules = await machine.console.command('modules');
    await target.attach(breakIn);
    const context = await contextOf(target);
    const access = new Access(context);
    const text = async (expression: string): Promise<string> =>
      summary(access, await evaluate(expression, context), display);
    const of = (record: Item, rest: string): Promise<string> => text(`(${record.expression!})${rest}`);
    const records = async (list: string): Promise<Item[]> =>
      indexedChildren(access, await evaluate(list, context), 0, 100);

    const found = await records('nt!PsActiveProcessHead,list(nt!_EPROCESS.ActiveProcessLinks)');
    const lines = await Promise.all(
      found.map(async (record) => {
        const name = await of(record, '.ImageFileName,sb');
        const id = await of(record, '.UniqueProcessId');
        const base = await of(record, '.Pcb.DirectoryTableBase,x');
        const address = await text(`&${record.expression!}`);
        return `${name} pid ${Number(id)} dtb ${base.slice(2)} eprocess ${address.slice(2)} threads ${await of(record, '.ActiveThreads')}`;
      }),
    );
    t.diagnostic(lines.join('; '));
    assert.ok(lines.length > 0);
    const plain = (line: string): string =>
      line.replaceAll('`', '').replaceAll('0x', '').toLowerCase().trim();
    assert.ok(plain(processes).includes(plain(lines.join('; '))), `${processes}\n${lines.join('; ')}`);

    const drivers = await records('PsLoadedModuleList,list(_KLDR_DATA_TABLE_ENTRY.InLoadOrderLinks)');
    const driverLines = await Promise.all(
      drivers.map(async (record) => {
        const base = await of(record, '.DllBase,n');
        return `${await of(record, '.BaseDllName,sub')} ${base.slice(2)} ${(await of(record, '.SizeOfImage,x')).slice(2)}`;
      }),
    );
    assert.ok(
      plain(modules).includes(plain(driverLines.join('; '))),
      `${modules}\n${driverLines.join('; ')}`,
    );

    assert.equal(await text('nt!PsInitialSystemProcess->ImageFileName == "System"'), 'true');
    assert.equal(
      await text(
        'CONTAINING_RECORD(nt!PsActiveProcessHead.Flink, nt!_EPROCESS, ActiveProcessLinks) == PsInitialSystemProcess',
      ),
      'true',
    );
    assert.match(await text('*(PVOID *)@rsp'), /^0x[0-9a-f]{16}/);
    assert.match(await text('(void (*)())@rip'), /^0x[0-9a-f]{16} nt!\w+(\+0x[0-9a-f]+)?$/);
    const message = compileLogMessage(
      '{PsInitialSystemProcess->ImageFileName} has {nt!PsInitialSystemProcess->ActiveThreads} threads',
    );
    assert.match(await message.text(context, display), /^"System" has \d+ threads$/);
    const condition = compile('PsInitialSystemProcess->ActiveThreads > 1000');
    assert.equal(await condition.test(context), false);

    const priority = await text('PsInitialSystemProcess->PriorityClass');
    await evaluate('PsInitialSystemProcess->PriorityClass = 77', context, { allowWrites: true });
    assert.match(await text('PsInitialSystemProcess->PriorityClass'), /^77/);
    await evaluate(`PsInitialSystemProcess->PriorityClass = ${parseInt(priority)}`, context, {
      allowWrites: true,
    });
    await target.resume();
    await target.breakIn(limit);
    assert.equal(await text('PsInitialSystemProcess->PriorityClass'), priority);
  } finally {
    await attached.end();
  }
});
