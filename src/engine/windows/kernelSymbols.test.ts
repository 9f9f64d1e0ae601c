/** Symbols of modules in memory, on images and PDBs of Microsoft's compiler and linker. */

import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import path from 'node:path';
import { after, describe, it, type TestContext } from 'node:test';
import { MappedImage } from '../../../test/fixtures/mappedImage';
import { msvcSamples } from '../../../test/fixtures/pdbSamples';
import { pdbWithUnwindData } from '../../../test/fixtures/pdbWithStreams';
import { tempFolder } from '../../../test/fixtures/tempFolder';
import { plus, virtualAddress } from '../core/addresses';
import { checkSymbolFile } from '../symbols/store/fileCheck';
import { httpGet } from '../symbols/store/http';
import { parseSymbolPath } from '../symbols/store/symbolPath';
import { SymbolStore } from '../symbols/store/symbolStore';
import { KernelSymbols } from './kernelSymbols';
import { loadSymbols } from './loadSymbols';
import { describeSymbolState, type ModuleSymbols, type SymbolState } from './moduleSymbols';

const [conpty, pty] = msvcSamples as [(typeof msvcSamples)[0], (typeof msvcSamples)[0]];
const local = { online: false };
const opened: { close(): void }[] = [];
after(() => {
  for (const one of opened) one.close();
});

const storeOf = (symbolPath: string, cache: string): SymbolStore =>
  new SymbolStore({
    path: parseSymbolPath(symbolPath, cache),
    defaultCache: cache,
    check: checkSymbolFile,
    get: httpGet({}),
  });

function kernelOf(t: TestContext, symbolPath: string, images: readonly string[]) {
  const mapped = images.map((image, i) => {
    const one = new MappedImage(image, virtualAddress(0xfffff80100000000n + BigInt(i) * 0x1000000n));
    opened.push(one);
    return one;
  });
  const memory: MappedImage = Object.create(mapped[0]!) as MappedImage;
  memory.readPartial = (address, length) => {
    const owner = mapped.find(({ base, module }) => address >= base && address < base + BigInt(module.size));
    return owner?.readPartial(address, length) ?? Promise.resolve(new Uint8Array());
  };
  const states: SymbolState['kind'][] = [];
  const symbols = new KernelSymbols({
    memory,
    store: storeOf(symbolPath, tempFolder(t)),
    onState: ({ state }) => states.push(state.kind),
  });
  symbols.update(mapped.map(({ module }) => module));
  t.after(() => symbols.forget());
  return { symbols, mapped, states, first: symbols.moduleNamed('nt')! };
}

const folderOf = (file: string): string => path.dirname(file);

const everyRow = ({ file }: MappedImage): number[] => {
  const { exceptions } = file.image;
  const bytes = file.memory.read(exceptions!.rva, exceptions!.size);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
  return Array.from({ length: bytes.length / 12 }, (_, i) => view.getUint32(i * 12, true));
};

void describe('symbols of loaded modules', () => {
  void it('come from the PDB that the image in memory names, and answer for all modules', async (t) => {
    const { symbols, states, mapped } = kernelOf(t, folderOf(conpty.pdb), [conpty.image, pty.image]);
    await loadSymbols(symbols.modules, local);
    assert.deepEqual(
      symbols.modules.map(({ alias, state }) => [alias, state.kind]),
      [
        ['nt', 'loaded'],
        ['pty', 'loaded'],
      ],
    );
    assert.deepEqual(states, ['loading', 'loading', 'loaded', 'loaded']);
    const [found] = symbols.search('pty!napi_register_module_v*', 9);
    assert.ok(found);
    assert.equal(found.address, plus(mapped[1]!.base, found.rva));
    assert.equal(symbols.nameOf(plus(found.address, 1)), `pty!${found.name}+0x1`);
    assert.equal(symbols.moduleAt(plus(mapped[1]!.base, -1)), undefined);
    assert.equal(symbols.nameOf(virtualAddress(0n)), undefined);
    // All modules are searched, letters in either case, and the kernel by its file's name too.
    assert.equal(new Set(symbols.search('NAPI_register*', 99).map((f) => f.module.alias)).size, 2);
    assert.equal(symbols.search('conpty.node!napi_register*', 9).length > 0, true);
    assert.equal(symbols.moduleNamed('CONPTY.NODE')?.alias, 'nt');
  });

  void it('nothing loads by being asked for', async (t) => {
    const { symbols, first, mapped } = kernelOf(t, folderOf(conpty.pdb), [conpty.image]);
    assert.equal(symbols.nameOf(plus(first.base, 0x1000)), 'nt+0x1000');
    assert.deepEqual(symbols.framesAt(plus(first.base, 0x1000)), []);
    assert.deepEqual(symbols.search('*', 9), []);
    assert.deepEqual(symbols.findLine({ path: 'conpty.cc', line: 1 }), []);
    assert.equal(first.state.kind, 'unloaded');
    assert.equal(mapped[0]!.requested, 0);
    await Promise.resolve();
    assert.equal(first.state.kind, 'unloaded');
  });

  void it('two loads at once are one', async (t) => {
    const { first, states } = kernelOf(t, folderOf(conpty.pdb), [conpty.image]);
    const [a, b] = await Promise.all([first.load(local), first.load(local)]);
    assert.equal(a, b);
    assert.deepEqual(states, ['loading', 'loaded']);
  });

  void it('without a PDB the exports serve, and say so', async (t) => {
    const { symbols, first } = kernelOf(t, '', [conpty.image]);
    const state = await first.load(local);
    assert.equal(state.kind, 'exports');
    assert.match(
      describeSymbolState(state),
      /^exports only: No PDB conpty\.pdb [0-9A-F]{33,} on the symbol path$/,
    );
    assert.equal(first.symbols?.quality, 'exports');
    const [found] = symbols.search('nt!napi_register*', 1);
    assert.equal(found?.kind, 'export');
    // Without knowing where functions end only an export's own address has its name.
    assert.equal(symbols.nameOf(found.address), `nt!${found.name}`);
    assert.equal(symbols.nameOf(plus(found.address, 1))?.includes('!'), false);
    for (let rva = 0x1000; rva < first.module.size; rva += 64) {
      const symbol = symbols.at(plus(first.base, rva))?.symbol;
      assert.ok(symbol === undefined || symbol.rva === rva);
    }
    // What unwinding has found out bounds it.
    const data = await first.unwindData();
    const row = await data.find(found.rva);
    assert.ok(row && row.begin === found.rva);
    const size = row.end - row.begin;
    assert.equal(
      symbols.nameOf(plus(found.address, size - 1)),
      `nt!${found.name}+0x${(size - 1).toString(16)}`,
    );
    await data.find(row.end + 15);
    assert.equal(symbols.nameOf(plus(found.address, size + 15))?.includes('!'), false);
  });

  void it('the PDB of another build is refused, by key; by hand it can be forced', async (t) => {
    const folder = tempFolder(t);
    copyFileSync(pty.pdb, path.join(folder, 'conpty.pdb'));
    const { first } = kernelOf(t, folder, [conpty.image]);
    const state = await first.load(local);
    assert.equal(state.kind, 'exports');
    assert.match(state.attempts[0]?.reason ?? '', /another build/);
    await assert.rejects(first.loadFrom(pty.pdb), { code: 'symbols-mismatch' });
    assert.equal(first.state.kind, 'exports');
    assert.equal((await first.loadFrom(pty.pdb, true)).kind, 'loaded');
    assert.equal((await first.loadFrom(conpty.pdb)).kind, 'loaded');
    assert.ok(first.pdb && first.types);
  });

  void it('a forced PDB of another build names things, but unwinds nothing', async (t) => {
    const { first, mapped } = kernelOf(t, '', [conpty.image]);
    const [image] = mapped as [MappedImage];
    const folder = tempFolder(t);
    const other = path.join(folder, 'other.pdb');
    const [wrong] = [new MappedImage(pty.image, image.base)];
    opened.push(wrong);
    writeFileSync(other, pdbWithUnwindData(pty.pdb, wrong.file));
    assert.equal((await first.loadFrom(other, true)).kind, 'loaded');
    const data = await first.unwindData();
    for (const begin of everyRow(image)) assert.equal((await data.find(begin))?.begin, begin);
  });

  void it('a PDB that is damaged inside says so, and answers the rest', async (t) => {
    const folder = tempFolder(t);
    const bytes = readFileSync(conpty.pdb);
    // Its middle: module streams, which are read when an address is asked for.
    bytes.fill(0xee, bytes.length >> 3, bytes.length >> 1);
    writeFileSync(path.join(folder, 'conpty.pdb'), bytes);
    const { symbols, first } = kernelOf(t, folder, [conpty.image]);
    const loaded = await first.load(local);
    if (loaded.kind !== 'loaded') assert.fail(describeSymbolState(loaded));
    for (let rva = 0x1000; rva < 0x30000; rva += 256) {
      symbols.nameOf(plus(first.base, rva));
      symbols.framesAt(plus(first.base, rva));
    }
    symbols.search('*', 10);
    symbols.findLine({ path: 'conpty.cc', line: 10 });
    assert.match(describeSymbolState(first.state), /, damaged: /);
  });

  void it('a PDB reference that is paged out is asked for again', async (t) => {
    const { first, mapped } = kernelOf(t, folderOf(conpty.pdb), [conpty.image]);
    const [image] = mapped as [MappedImage];
    image.takeAway(image.file.image.debug!.rva, 1);
    assert.match(describeSymbolState(await first.load(local)), /cannot be read now: No memory at/);
    image.absent.clear();
    assert.equal((await first.load(local)).kind, 'loaded');
  });

  void it('each caller of one load leaves by its own signal; the last one ends it', async (t) => {
    const server = createServer((_, response) => {
      response.writeHead(200);
      const timer = setInterval(() => response.write('x'.repeat(1000)), 20);
      response.on('close', () => clearInterval(timer));
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close().closeAllConnections());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { first } = kernelOf(t, `srv*${tempFolder(t)}*${url}`, [conpty.image]);
    const [a, b] = [new AbortController(), new AbortController()];
    let heard = 0;
    const progressOfB = new Promise<void>((resolve) => {
      const onProgress = (): void => {
        if (++heard === 3) resolve();
      };
      void first.load({ online: true, signal: b.signal, onProgress }).catch(() => undefined);
    });
    const loadOfA = first.load({ online: true, signal: a.signal });
    const failure = assert.rejects(loadOfA, { code: 'cancelled' });
    await progressOfB;
    a.abort();
    await failure;
    assert.equal(first.state.kind, 'loading');
    // A person's own PDB ends the download and is not replaced by what comes of it.
    assert.equal((await first.loadFrom(conpty.pdb)).kind, 'loaded');
    b.abort();
    assert.equal(first.state.kind, 'loaded');
    assert.ok(first.pdb);
  });

  void it('a module that goes ends its download', async (t) => {
    let closed: () => void = () => undefined;
    const isClosed = new Promise<void>((resolve) => (closed = resolve));
    const server = createServer((_, response) => {
      response.writeHead(200);
      response.write('x');
      response.on('close', closed);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    t.after(() => server.close().closeAllConnections());
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    const { symbols, first, states } = kernelOf(t, `srv*${tempFolder(t)}*${url}`, [conpty.image]);
    const begun = new Promise<void>((resolve) => {
      const loading = first.load({ online: true, onProgress: () => resolve() });
      void assert.rejects(loading, { code: 'cancelled' });
    });
    await begun;
    symbols.forget(first.base);
    await isClosed;
    assert.equal(states.at(-1), 'unloaded');
  });

  void it('namesakes are told apart, and nothing is called nt but the kernel', async (t) => {
    const { symbols, mapped } = kernelOf(t, '', [conpty.image]);
    const [image] = mapped as [MappedImage];
    const at = (name: string, base: bigint) => ({ ...image.module, name, base: virtualAddress(base) });
    symbols.update([
      at('ntkrnlmp.exe', 0xfffff80200000000n),
      at('nt.sys', 0xfffff80100000000n),
      at('a.sys', 0xfffff80300000000n),
      at('A.dll', 0xfffff80400000000n),
      { ...at('inner.sys', 0xfffff80200001000n), size: 0x1000 },
    ]);
    assert.equal(symbols.moduleNamed('nt')?.module.name, 'ntkrnlmp.exe');
    assert.equal(symbols.moduleNamed('a')?.module.name, 'a.sys');
    assert.equal(symbols.moduleNamed('A.dll')?.alias, 'A_fffff80400000000');
    // One module inside another hides only what it covers.
    assert.equal(symbols.moduleAt(virtualAddress(0xfffff80200001800n))?.alias, 'inner');
    assert.equal(symbols.moduleAt(virtualAddress(0xfffff80200002800n))?.alias, 'nt');
    await Promise.resolve();
  });

  void it('absent headers, and absent exports, are a state with a reason', async (t) => {
    const { first, mapped } = kernelOf(t, '', [conpty.image]);
    const [image] = mapped as [MappedImage];
    image.takeAway(0, 1);
    assert.match(describeSymbolState(await first.load(local)), /^no symbols: Its headers cannot be read/);
    image.absent.clear();
    const { exports } = image.file.image;
    image.takeAway(exports!.rva, 40);
    assert.match(describeSymbolState(await first.load(local)), /exports cannot be read: No memory at/);
    image.absent.clear();
    assert.equal((await first.load(local)).kind, 'exports');
  });

  void it('a cancelled load leaves what was there', async (t) => {
    const { first } = kernelOf(t, `srv*${tempFolder(t)}*http://127.0.0.1:1`, [conpty.image]);
    await first.load(local);
    const signal = AbortSignal.abort();
    await assert.rejects(first.load({ online: true, signal }), { code: 'cancelled' });
    assert.equal(first.state.kind, 'exports');
  });

  void it('a module that goes while its symbols load leaves nothing open', async (t) => {
    const { symbols, first, states } = kernelOf(t, folderOf(conpty.pdb), [conpty.image]);
    const loading = first.load(local);
    symbols.forget(first.base);
    await assert.rejects(loading, { code: 'cancelled' });
    assert.equal(first.pdb, undefined);
    assert.deepEqual(states, ['loading', 'unloaded']);
  });

  void it('modules that stay keep their symbols; those that go give their files back', async (t) => {
    const { symbols, first, mapped } = kernelOf(t, folderOf(conpty.pdb), [conpty.image, pty.image]);
    await loadSymbols(symbols.modules, local);
    const modules = mapped.map(({ module }) => module);
    const second = symbols.moduleNamed('pty')!;
    assert.deepEqual(symbols.update(modules), { added: [], removed: [] });
    assert.deepEqual(symbols.update(modules.slice(0, 1)).removed, [second]);
    assert.equal(second.state.kind, 'unloaded');
    const [back] = symbols.update(modules).added as [ModuleSymbols];
    assert.notEqual(back, second);
    symbols.forget(back.base);
    assert.deepEqual(symbols.modules, [first]);
  });
});

void describe('unwind data of a loaded image', () => {
  for (const from of ['pdb', 'file', 'memory'] as const) {
    void it(`is the same from the ${from}`, async (t) => {
      const folder = tempFolder(t);
      const { first, mapped } = kernelOf(t, folder, [conpty.image]);
      const [image] = mapped as [MappedImage];
      const { exceptions, timeDateStamp, sizeOfImage } = image.file.image;
      if (from === 'pdb')
        writeFileSync(path.join(folder, 'conpty.pdb'), pdbWithUnwindData(conpty.pdb, image.file));
      if (from === 'file') {
        const key = timeDateStamp.toString(16).toUpperCase().padStart(8, '0') + sizeOfImage.toString(16);
        const place = path.join(folder, 'conpty.node', key);
        mkdirSync(place, { recursive: true });
        copyFileSync(conpty.image, path.join(place, 'conpty.node'));
      }
      assert.equal((await first.load(local)).kind, from === 'pdb' ? 'loaded' : 'exports');
      const data = await first.unwindData();
      if (from !== 'memory') image.takeAway(exceptions!.rva, exceptions!.size);
      const rows = everyRow(image);
      assert.ok(rows.length > 100);
      for (const begin of rows) {
        const row = await data.find(begin);
        assert.equal(row?.begin, begin);
        assert.deepEqual(
          Buffer.from(await data.read(row.unwindInfo, 4)),
          Buffer.from(image.file.memory.read(row.unwindInfo, 4)),
        );
      }
      assert.equal(await data.find(0), undefined);
    });
  }

  void it('in memory costs few blocks for one function', async (t) => {
    const { first, mapped } = kernelOf(t, '', [conpty.image]);
    const [image] = mapped as [MappedImage];
    const data = await first.unwindData();
    const before = image.requested;
    assert.ok(await data.find(everyRow(image)[500]!));
    assert.ok(image.requested - before <= 8 * 2048, `${image.requested - before} bytes`);
  });
});
