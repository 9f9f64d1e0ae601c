import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { expressionAt } from './expressionAt';

/** `^` stands before the character that the mouse is over. */
function at(text: string): string | undefined {
  const line = text.replace('^', '');
  const span = expressionAt(line, text.indexOf('^'));
  return span && line.slice(span.start, span.end);
}

void describe('what a hover asks for', () => {
  void it('is the name with what leads to it', () => {
    assert.equal(at('  Total += ^Value & 0xFF;'), 'Value');
    assert.equal(at('Node->Flags.B^usy = !Node->Flags.Busy;'), 'Node->Flags.Busy');
    assert.equal(at('Node->Fl^ags.Busy'), 'Node->Flags');
    assert.equal(at('x = Nodes[3].Corners[0].^X;'), 'Nodes[3].Corners[0].X');
    assert.equal(at('auto a = ns::Class::^member;'), 'ns::Class::member');
    assert.equal(at('nt!^KeTickCount'), 'nt!KeTickCount');
    assert.equal(at('f(a)->^b'), 'b');
  });

  void it('is nothing where there is nothing to be seen', () => {
    for (const line of ['^return x;', 'Out^er(Value)', 'a ^+ b', '"a ^b"', 'x; // ^y', '/* ^y', '4^2', ''])
      assert.equal(at(line), undefined, line);
  });
});
