import assert from 'node:assert/strict';
import { it } from 'node:test';
import { moduleNameOf, withoutModule } from './moduleName';

void it('modules are named as debuggers do', () => {
  const cases = [
    ['C:\\Windows\\System32\\drivers\\tcpip.sys', 'tcpip'],
    ['/build/winpty-agent.exe', 'winpty_agent'],
    ['NTOSKRNL.EXE', 'nt'],
    ['ntkrnlmp.pdb', 'nt'],
    ['plain', 'plain'],
    ['a.b.dll', 'a_b'],
  ] as const;
  for (const [file, name] of cases) assert.equal(moduleNameOf(file), name);
});

void it('a module in front of a name is taken off, if it is the right one', () => {
  assert.equal(withoutModule('nt', 'KeBugCheckEx'), 'KeBugCheckEx');
  assert.equal(withoutModule('nt', 'NT!Ke*'), 'Ke*');
  assert.equal(withoutModule('nt', 'ntoskrnl!Ke*'), 'Ke*');
  assert.equal(withoutModule('winpty_agent', 'winpty-agent!main'), 'main');
  assert.equal(withoutModule('nt', 'hal!Ke*'), undefined);
});
