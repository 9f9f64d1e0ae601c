import assert from 'node:assert/strict';
import path from 'node:path';
import { describe, it } from 'node:test';
import { storeFolder } from './folders';
import { compressedName, imageFile, pdbFile } from './symbolFile';

const key = 'FB9FB7D58AE247B9988973DAF157F7AB1';

void describe('symbol files', () => {
  void it('have the keys that stores use', () => {
    assert.deepEqual(pdbFile('ntkrnlmp.pdb', key.toLowerCase()), { kind: 'pdb', name: 'ntkrnlmp.pdb', key });
    assert.equal(imageFile('ntdll.dll', 0x5b6c8a, 0x1e1000).key, '005B6C8A1e1000');
    assert.equal(imageFile('ntdll.dll', -1, 0xf0000000).key, 'FFFFFFFFf0000000');
    assert.equal(compressedName('ntdll.pdb'), 'ntdll.pd_');
  });

  void it('have the last component of what the linker wrote', () => {
    for (const name of [
      'd:\\os\\obj\\amd64\\nt kernel.pdb',
      '/home/me/nt kernel.pdb',
      '\\\\s\\h\\nt kernel.pdb',
    ]) {
      assert.equal(pdbFile(name, key).name, 'nt kernel.pdb');
    }
    assert.equal(pdbFile('Größe-内核.pdb', key).name, 'Größe-内核.pdb');
    assert.equal(pdbFile('..\\..\\..\\x.pdb', key).name, 'x.pdb');
  });

  const hostile = [
    ...['', '.', '..', 'a/..', 'a\\', '/', '\\', '...', ' ', 'a.', 'a ', '.hidden', ' a'],
    ...[
      'c:',
      'c:x.pdb',
      'x.pdb:stream',
      'x.pdb::$DATA',
      '\\\\?\\c:',
      '*',
      'a?b',
      'a"b',
      'a<b',
      'a|b',
      '%2e%2e',
      'a#b',
    ],
    ...[
      'con',
      'CON',
      'Con.pdb',
      'prn.pdb',
      'aux',
      'nul.',
      'NUL.pdb',
      'com1',
      'COM9.pdb',
      'com¹.x',
      'lpt0',
      'LPT³.pdb',
    ],
    ...['conin$', 'CONOUT$.txt', 'clock$', 'con .pdb'],
    ...[
      'a\0.pdb',
      '\0',
      'a\n.pdb',
      'a\u007f',
      'a\u0085b',
      'a\u200bb',
      'a\u202ebdp.exe',
      'a\u2028b',
      'a\ud800b',
      '\ufeffa',
    ],
    ...['\uff0e\uff0e', '..\uff0fx', 'a\uff3cb', 'a\uff1ab', '\u2024\u2024', 'ｃｏｎ.pdb', 'a\u2025'],
    'x'.repeat(129),
  ];
  void it('never have a name that leads elsewhere, or means something to a system', () => {
    for (const name of hostile) {
      const expected = { code: 'symbol-name-refused' };
      assert.throws(() => pdbFile(name, key), expected, JSON.stringify(name));
      assert.throws(() => imageFile(name, 1, 2), expected, JSON.stringify(name));
      assert.throws(() => imageFile(`d:\\os\\${name}`, 1, 2), expected, JSON.stringify(name));
    }
  });

  void it('nor a key that does', () => {
    for (const bad of [
      '',
      '..',
      '../../x',
      `${key}/..`,
      `${key}\0`,
      key.slice(0, 31),
      `${key}FFFFFFFFF`,
      `${key}G`,
    ]) {
      assert.throws(() => pdbFile('x.pdb', bad), { code: 'symbol-name-refused' }, JSON.stringify(bad));
    }
  });

  void it('whatever is accepted stays in its folder, on Windows and elsewhere', () => {
    const alphabet = ['.', '/', '\\', ':', 'a', 'con', ' ', '\0', '~', '\uff0f', '$', '%', '\u0301', 'é'];
    let accepted = 0;
    for (let code = 0; code < 14 ** 4; code++) {
      const name = [0, 1, 2, 3].map((i) => alphabet[Math.floor(code / 14 ** i) % 14]).join('');
      let file;
      try {
        file = pdbFile(name, key);
      } catch {
        continue;
      }
      accepted++;
      for (const twoTier of [false, true]) {
        const folder = storeFolder('/cache', file, twoTier);
        assert.ok(folder.startsWith('/cache/') && !folder.split('/').includes('..'), name);
      }
      assert.equal(path.win32.basename(file.name), file.name);
      assert.equal(path.win32.parse(path.win32.resolve('C:\\cache', file.name)).dir, 'C:\\cache', name);
      assert.equal(path.posix.dirname(path.posix.resolve('/cache', file.name)), '/cache', name);
    }
    assert.ok(accepted > 1000);
  });
});
