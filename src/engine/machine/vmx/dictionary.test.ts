import assert from 'node:assert/strict';
import { test } from 'node:test';
import fc from 'fast-check';
import { randomFrom, seedFromEnvironment } from '../../../../test/fixtures/random';
import { parseDictionary } from './dictionary';

const bytes = (text: string, encoding: BufferEncoding = 'latin1'): Uint8Array => Buffer.from(text, encoding);
const entries = (file: Uint8Array): [string, string][] =>
  [...parseDictionary(file).matching(/.*/s)].map(({ match, value }) => [match[0], value]);

/** One line each, and what VMware's grammar makes of it. */
const lines: [string, [string, string] | 'nothing' | 'malformed'][] = [
  ['displayName = "Windows 11"', ['displayname', 'Windows 11']],
  ['  \tdisplayName\t=\t"x"\t ', ['displayname', 'x']],
  ['a="b"', ['a', 'b']],
  ['a = "b" # why', ['a', 'b']],
  ['a = "b"#why', ['a', 'b']],
  ['a = "# no comment"', ['a', '# no comment']],
  ['a = ""', ['a', '']],
  ['a =', ['a', '']],
  ['a = # nothing', ['a', '']],
  ['a = TRUE', ['a', 'TRUE']],
  ['a = TRUE # yes', ['a', 'TRUE']],
  ['a = TRUE#yes', ['a', 'TRUE']],
  ['a = b"c', ['a', 'b"c']],
  ['"a" = b', ['"a"', 'b']],
  ['.encoding = "UTF-8"', ['.encoding', 'UTF-8']],
  ['a = "|22quoted|22"', ['a', '"quoted"']],
  ['a = "|7C|7c"', ['a', '||']],
  ['a = "||22"', ['a', '||22']],
  ['a = "|2|22"', ['a', '|2|22']],
  ['a = "|2"', ['a', '|2']],
  ['a = "|"', ['a', '|']],
  ['a = "|gg"', ['a', '|gg']],
  ['a = "x|00y"', ['a', 'x']],
  ['a = "b\0c', 'malformed'],
  ['a = "b"\0 junk', ['a', 'b']],
  ['serial0.fileName = "\\\\.\\pipe\\com_1"', ['serial0.filename', '\\\\.\\pipe\\com_1']],
  ['', 'nothing'],
  [' \t', 'nothing'],
  ['# comment = "x"', 'nothing'],
  ['\0anything', 'nothing'],
  ['a = "b" c', 'malformed'],
  ['a = b c', 'malformed'],
  ['a = "b', 'malformed'],
  ['a b = c', 'malformed'],
  ['a', 'malformed'],
  ['= b', 'malformed'],
  ['a# = b', 'malformed'],
  ['#!/usr/bin/vmware', 'nothing'],
];

for (const [line, expected] of lines) {
  test(`reads ${JSON.stringify(line)}`, () => {
    const dictionary = parseDictionary(bytes(line));
    assert.deepEqual(entries(bytes(line)), Array.isArray(expected) ? [expected] : []);
    assert.deepEqual(dictionary.malformedLines, expected === 'malformed' ? [1] : []);
  });
}

test('lines end with LF, CR LF, CR, or the file', () => {
  assert.deepEqual(entries(bytes('a="1"\nb="2"\r\nc="3"\rd="4"')), [
    ['a', '1'],
    ['b', '2'],
    ['c', '3'],
    ['d', '4'],
  ]);
});

test('names are one whatever their case; the last line counts, and the name is reported', () => {
  const dictionary = parseDictionary(bytes('msg.autoAnswer = "1"\nMSG.autoanswer = "2"\nb = "3"'));
  assert.equal(dictionary.text('Msg.AutoAnswer'), '2');
  assert.deepEqual(dictionary.duplicates, ['msg.autoAnswer']);
});

test('names that an object would have by itself are none', () => {
  const dictionary = parseDictionary(bytes('__proto__ = "1"'));
  assert.equal(dictionary.text('__proto__'), '1');
  assert.equal(dictionary.text('constructor'), undefined);
  assert.equal(dictionary.flag('toString'), undefined);
});

test('switches and numbers are read strictly', () => {
  const dictionary = parseDictionary(
    bytes('a=TRUE\nb=no\nc=maybe\nd=4096\ne=-1\nf=1e3\ng="12 "\nh=9999999999999999'),
  );
  assert.deepEqual(
    [dictionary.flag('a'), dictionary.flag('b'), dictionary.flag('c')],
    [true, false, undefined],
  );
  const numbers = ['d', 'e', 'f', 'g', 'h', 'i'].map((name) => dictionary.number(name));
  assert.deepEqual(numbers, [4096, undefined, undefined, 12, undefined, undefined]);
});

test('what is missing comes from the defaults, the first ones first', () => {
  const file = parseDictionary(bytes('a=1'));
  const dictionary = file.over(parseDictionary(bytes('a=2\nB=2'))).over(parseDictionary(bytes('b=3\nc=3')));
  const values = ['A', 'b', 'c', 'd'].map((name) => dictionary.text(name));
  assert.deepEqual(values, ['1', '2', '3', undefined]);
  assert.equal(file.text('b'), undefined);
});

const encoded: [string, Uint8Array, string, string, boolean][] = [
  ['windows-1252', bytes('.encoding = "windows-1252"\nn = "Ger\xe4t \x80"'), 'Gerät €', 'windows-1252', true],
  ['UTF-8', bytes('.encoding = "UTF-8"\nn = "Gerät €"', 'utf8'), 'Gerät €', 'UTF-8', true],
  ['windows-1251', bytes('n = "\xcf\xca"\n.encoding = "windows-1251"'), 'ПК', 'windows-1251', true],
  ['Shift_JIS', bytes('.encoding = "Shift_JIS"\nn = "\x83e\x83X\x83g"'), 'テスト', 'Shift_JIS', true],
  ['GBK', bytes('.encoding = "GBK"\nn = "\xb9\xb2\xcf\xed"'), '共享', 'GBK', true],
  ['windows-949', bytes('.encoding = "windows-949"\nn = "\xc7\xd1"'), '한', 'windows-949', true],
  ['none, but UTF-8', bytes('n = "Gerät"', 'utf8'), 'Gerät', 'UTF-8', false],
  ['none, and no UTF-8', bytes('n = "Ger\xe4t"'), 'Gerät', 'windows-1252', false],
  ['one that nobody knows', bytes('.encoding = "klingon"\nn = "Ger\xe4t"'), 'Gerät', 'windows-1252', false],
  ['a UTF-8 mark', bytes('\ufeff.encoding = "windows-1252"\nn = "Gerät"', 'utf8'), 'Gerät', 'UTF-8', true],
  ['a UTF-16 mark', bytes('\ufeffn = "Gerät €"', 'utf16le'), 'Gerät €', 'utf-16le', true],
  [
    'a big-endian UTF-16 mark',
    Buffer.from('\ufeffn = "Gerät"', 'utf16le').swap16(),
    'Gerät',
    'utf-16be',
    true,
  ],
];

for (const [what, file, value, name, certain] of encoded) {
  test(`encoding: ${what}`, () => {
    const dictionary = parseDictionary(file);
    assert.equal(dictionary.text('n'), value);
    assert.deepEqual([dictionary.encoding.name, dictionary.encoding.certain], [name, certain]);
  });
}

test('an escape is a byte of the file’s encoding', () => {
  assert.equal(parseDictionary(bytes('.encoding="windows-1252"\nn="|e4"')).text('n'), 'ä');
  assert.equal(parseDictionary(bytes('.encoding="UTF-8"\nn="|C3|A4"')).text('n'), 'ä');
});

test('whatever VMware would write comes back', () => {
  const escaped = (byte: number): boolean =>
    (byte < 0x20 && byte !== 0x09) || byte === 0x7f || '"|'.includes(String.fromCharCode(byte));
  const written = (value: string): string =>
    Array.from(Buffer.from(value), (byte) =>
      escaped(byte) ? `|${byte.toString(16).toUpperCase().padStart(2, '0')}` : String.fromCharCode(byte),
    ).join('');
  const value = fc.string({ unit: 'grapheme' }).map((text) => text.replaceAll('\0', ''));
  fc.assert(
    fc.property(fc.dictionary(fc.stringMatching(/^[a-z0-9_.:]{1,20}$/), value), (wanted) => {
      const text = Object.entries(wanted)
        .map(([name, one]) => `${name} = "${written(one)}"\r\n`)
        .join('');
      const dictionary = parseDictionary(bytes(`.encoding = "UTF-8"\n${text}`));
      for (const [name, one] of Object.entries(wanted)) {
        if (name !== '.encoding') assert.equal(dictionary.text(name), one);
      }
      assert.deepEqual(dictionary.malformedLines, []);
    }),
  );
});

/** The grammar again, one character after the other, as the comment of dictionary.ts draws it. */
function referenceLine(line: string): [string, string] | 'nothing' | 'malformed' {
  const text = line.split('\0')[0]!;
  let at = 0;
  const run = (ends: (character: string) => boolean): string => {
    const from = at;
    while (at < text.length && !ends(text[at]!)) at++;
    return text.slice(from, at);
  };
  const blank = (character: string): boolean => character === ' ' || character === '\t';
  const blanks = (): string => run((character) => !blank(character));
  blanks();
  if (at === text.length || text[at] === '#') return 'nothing';
  const name = run((character) => blank(character) || character === '#' || character === '=');
  blanks();
  if (name === '' || text[at++] !== '=') return 'malformed';
  blanks();
  let value: string;
  if (text[at] === '"') {
    at++;
    value = run((character) => character === '"');
    if (text[at++] !== '"') return 'malformed';
  } else value = run((character) => blank(character) || character === '#');
  blanks();
  if (at < text.length && text[at] !== '#') return 'malformed';
  return [name, unescaped(value)];
}

function unescaped(value: string): string {
  let out = '';
  let pending = '';
  for (const character of value) {
    pending += character;
    const hex = pending.length > 1 && /[0-9a-f]/i.test(character);
    if (pending[0] === '|' && (pending.length === 1 || (hex && pending.length === 2))) continue;
    out += hex ? String.fromCharCode(parseInt(pending.slice(1), 16)) : pending;
    pending = '';
  }
  return (out + pending).split('\0')[0]!;
}

test('any bytes give what the grammar says', () => {
  const seed = seedFromEnvironment();
  const random = randomFrom(seed);
  const pieces = [
    'a',
    'B',
    '.',
    '=',
    ' ',
    '\t',
    '"',
    '#',
    '|',
    '|22',
    '|7c',
    '|4',
    '\0',
    '\x7f',
    '\xe4',
    '\xff',
    '0',
    'f',
  ];
  for (let round = 0; round < 20_000; round++) {
    const line = Array.from({ length: random.below(24) }, () => random.pick(pieces)).join('');
    const expected = referenceLine(line);
    // The encoding is named, so that no guess comes between.
    const file = bytes(`.encoding=windows-1252\n${line}`);
    const dictionary = parseDictionary(file);
    const where = `seed ${seed}, round ${round}: ${JSON.stringify(line)}`;
    if (typeof expected === 'string') {
      assert.deepEqual(entries(file).slice(1), [], where);
      assert.deepEqual(dictionary.malformedLines, expected === 'malformed' ? [2] : [], where);
    } else {
      assert.equal(
        dictionary.text(expected[0].replace('ä', 'ä').replace('\xff', 'ÿ')),
        expected[1].replace('\x80', '€'),
        where,
      );
    }
  }
});

test('large and random files end', () => {
  const seed = seedFromEnvironment();
  const random = randomFrom(seed);
  for (const length of [0, 1, 2, 3, 1000, 1 << 20]) parseDictionary(random.bytes(length));
  for (const unit of ['a', ' ', '=', '"', '|', '#', 'a=b\n', '\n', 'a="', ' a', '\ufeff'])
    parseDictionary(bytes(unit.repeat(1 << 20), 'utf8'));
  assert.equal(parseDictionary(bytes('x=1\n'.repeat(100_000))).malformedLines.length, 100_000 - 65_536);
});
