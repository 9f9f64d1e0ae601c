import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { commands } from '../names';
import { sessionChoices } from './menuChoices';
import { newSession, type SessionState } from './sessionState';

const offered = (state: Partial<SessionState>): string[] =>
  sessionChoices({ ...newSession, ...state }).map(({ command }) => command);

const of = (state: Partial<SessionState>, ...wanted: readonly string[]): string[] =>
  offered(state).filter((command) => wanted.includes(command));

const { startCompanion, stopCompanion, giveKernel, takeKernel, launchWindbg, openMemory } = commands;
const ofPipe = [startCompanion, stopCompanion, giveKernel, takeKernel, launchWindbg];

void describe('what is offered of a session', () => {
  void it('is a pipe to start, where there is none', () => {
    assert.deepEqual(of({ phase: 'stopped' }, ...ofPipe), [startCompanion]);
    assert.deepEqual(of({ phase: 'attaching' }, ...ofPipe), []);
  });

  void it('is to hand over, where WinDbg is there, in the direction that is possible', () => {
    const pipe = 'unix:/run/vmkd/kd_x';
    const phase = 'running';
    const at = (companion: SessionState['companion']): string[] => of({ phase, companion }, ...ofPipe);
    assert.deepEqual(at({ pipe, windbg: 'absent', driver: 'session' }), [launchWindbg, stopCompanion]);
    assert.deepEqual(at({ pipe, windbg: 'attached', driver: 'session' }), [
      giveKernel,
      launchWindbg,
      stopCompanion,
    ]);
    assert.deepEqual(at({ pipe, windbg: 'attached', driver: 'windbg' }), [
      takeKernel,
      launchWindbg,
      stopCompanion,
    ]);
  });

  void it('is memory, while the kernel stands', () => {
    assert.deepEqual(of({ phase: 'stopped' }, openMemory), [openMemory]);
    assert.deepEqual(of({ phase: 'running' }, openMemory), []);
  });
});
