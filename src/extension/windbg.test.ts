import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { windbgArguments, windbgPlaces } from './windbg';

void describe('WinDbg', () => {
  void it('is looked for where it is installed', () => {
    const env = {
      LOCALAPPDATA: String.raw`C:\Users\me\AppData\Local`,
      ProgramFiles: String.raw`C:\Program Files`,
    };
    assert.deepEqual(windbgPlaces('win32', env), [
      String.raw`C:\Users\me\AppData\Local\Microsoft\WindowsApps\WinDbgX.exe`,
      String.raw`C:\Program Files\Windows Kits\10\Debuggers\x64\windbg.exe`,
    ]);
    assert.deepEqual(windbgPlaces('linux', env), []);
  });

  void it('is told of the pipe, and of nothing else', () => {
    const pipe = String.raw`com:pipe,port=\\.\pipe\kd_win11,resets=0,reconnect`;
    assert.deepEqual(windbgArguments(`windbg -k ${pipe}`), ['-k', pipe]);
    assert.equal(windbgArguments('windbg -k com:pipe,port=x -c "q"'), undefined);
    assert.deepEqual(windbgArguments('unix:/run/vmkd/kd_win11'), [
      '-k',
      'com:pipe,port=/run/vmkd/kd_win11,resets=0,reconnect',
    ]);
    assert.deepEqual(windbgArguments('tcp:127.0.0.1:5000'), ['-k', 'com:ipport=5000,port=127.0.0.1']);
    assert.equal(windbgArguments('unix:/tmp/a b'), undefined);
  });
});
