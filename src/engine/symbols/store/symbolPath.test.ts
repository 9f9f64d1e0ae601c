import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { microsoftServer, parseSymbolPath, symbolPathFrom } from './symbolPath';

/** Chains as their places with arrows, plain folders as they are. */
const read = (text: string): string[] =>
  parseSymbolPath(text, '/default').map((element) =>
    element.kind === 'plain'
      ? `${element.path}${element.cache === undefined ? '' : ` > ${element.cache}`}`
      : element.stores.map((store) => (store.kind === 'folder' ? store.path : store.url.href)).join(' < '),
  );

void describe('symbol paths', () => {
  const cases: readonly (readonly [string, string[]])[] = [
    ['', []],
    [' ; ;', []],
    ['srv*', [`/default < ${microsoftServer}`]],
    ['SRV*C:\\cache', ['C:\\cache']],
    ['srv*https://s.example/x', ['/default < https://s.example/x']],
    ['srv**https://s.example/x', ['/default < https://s.example/x']],
    ['srv*C:\\cache*https://s.example/x', ['C:\\cache < https://s.example/x']],
    ['srv*C:\\a*\\\\h\\share*http://1.2.3.4:8080/', ['C:\\a < \\\\h\\share < http://1.2.3.4:8080/']],
    ['srv*/a*https://s.example/*https://t.example/', ['/a < https://s.example/ < https://t.example/']],
    ['symsrv*symsrv.dll*C:\\c*https://s.example/', ['C:\\c < https://s.example/']],
    ['SymSrv*my.dll*', [`/default < ${microsoftServer}`]],
    ['cache*', ['/default']],
    ['cache*/c;srv*https://s.example/', ['/c', '/c < https://s.example/']],
    ['/before;cache*/c;/after', ['/before', '/c', '/after > /c']],
    ['C:\\sym ; D:\\more sym', ['C:\\sym', 'D:\\more sym']],
  ];
  void it('are read as WinDbg does', () => {
    for (const [text, expected] of cases) assert.deepEqual(read(text), expected, text);
  });

  void it('that cannot be meant are refused, with the element in the message', () => {
    const refused = ['foo*bar', 'https://s.example/', 'srv*ftp://s.example/', 'srv*https://', 'cache*a*b'];
    for (const text of [...refused, 'cache*https://s.example/', 'srv*https://s.example/*/a', 'a\0b']) {
      assert.throws(
        () => parseSymbolPath(`/ok;${text}`, '/default'),
        (error: Error & { code?: string }) =>
          error.code === 'symbol-path-bad' && error.message.includes(text),
        text,
      );
    }
  });

  void it('come from the environment, else are Microsoft’s server', () => {
    assert.equal(symbolPathFrom({ _NT_SYMBOL_PATH: ' srv*x ' }), 'srv*x');
    assert.equal(symbolPathFrom({ _NT_SYMBOL_PATH: ' ' }), 'srv*');
    assert.equal(symbolPathFrom({}), 'srv*');
  });
});
