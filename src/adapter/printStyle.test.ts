import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { guestText } from './output';
import { stylePrint } from './printStyle';

/** Our colours as `<31>`. */
const shown = (text: string): string => stylePrint(text).replace(colour, '<$1>');
const plain = (text: string): string => text.replace(colour, '');
const colour = new RegExp(`${String.fromCharCode(0x1b)}\\[(\\d+)m`, 'g');

void describe('what a kernel prints', () => {
  void it('has its component in a colour that is always the same', () => {
    const [, first] = /^<(\d+)>vmkdemo<39>: 4 threads$/.exec(shown('vmkdemo: 4 threads'))!;
    const [, again] = /^<(\d+)>vmkdemo<39>: bye\n$/.exec(shown('vmkdemo: bye\n'))!;
    assert.equal(first, again);
    assert.match(shown('[usb hub] reset'), /^<\d+>\[usb hub\]<39> reset$/);
  });

  void it('is red where it failed, and yellow where it warns, line by line', () => {
    assert.equal(
      shown('all is well\nopen failed\na warning\n'),
      'all is well\n<31>open failed<39>\n<33>a warning<39>\n',
    );
  });

  void it('stays as it is where it says nothing of the kind', () => {
    for (const text of ['hello', '', '\n', 'C:\\Windows', '0x12: 3', 'terrorist', 'a b: c'])
      assert.equal(stylePrint(text), text);
  });

  void it('loses nothing, and takes no escape sequence from a guest', () => {
    for (const text of ['x: \x1b[31mred', '\x1b]0;title\x07', 'a: error\r\n', `${'a'.repeat(50)}: b`])
      assert.equal(plain(stylePrint(guestText(text))), guestText(text));
    assert.ok(!stylePrint(guestText('x: \x1b[5mblink')).includes('\x1b[5m'));
  });
});
