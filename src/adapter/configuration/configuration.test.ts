/** What a launch configuration may say, and what becomes of mistakes in it. */

import assert from 'node:assert/strict';
import { describe, it } from 'node:test';
import { readConfiguration } from './configuration';

const read = (given: Record<string, unknown>) => {
  const ignored: string[] = [];
  return { configuration: readConfiguration(given, (sentence) => ignored.push(sentence)), ignored };
};

const refused = (given: unknown, message: RegExp, code = 'configuration-bad'): void => {
  assert.throws(
    () => readConfiguration(given, () => undefined),
    (error: { code?: string; message?: string }) => {
      assert.match(error.message ?? '', message);
      return error.code === code;
    },
  );
};

void describe('the launch configuration', () => {
  void it('needs a link; all else has defaults', () => {
    const { configuration } = read({ link: 'unix:/tmp/kd' });
    assert.deepEqual(configuration.machine, { kind: 'link', link: 'unix:/tmp/kd' });
    assert.equal(configuration.transport, 'auto');
    assert.equal(configuration.guestRam, undefined);
    assert.equal(configuration.breakOnAttach, true);
    assert.equal(configuration.timeouts.attach, 20);
    assert.deepEqual(configuration.sourceMap, []);
    refused({}, /“link” is missing/);
  });

  void it('is read field by field', () => {
    const { configuration } = read({
      link: 'tcp:127.0.0.1:5000',
      sourceMap: { 'd:\\b': '/src' },
      stopAt: ['initialBreakpoint', 'module:my*', 'module:other'],
      timeouts: { link: 1 },
    });
    assert.deepEqual(configuration.sourceMap, [{ pdb: 'd:\\b', local: '/src' }]);
    assert.deepEqual(configuration.stopAt, { initialBreakpoint: true, modules: ['my*', 'other'] });
    assert.deepEqual(configuration.timeouts, { link: 1, attach: 20, breakIn: 10 });
  });

  void it('says what a mistyped field was meant to be', () => {
    refused({ link: 'x', symbolpath: '' }, /There is no field “symbolpath”: did you mean “symbolPath”\?/);
    refused({ link: 'x', timeouts: { atach: 3 } }, /“timeouts.atach”: did you mean “attach”\?/);
  });

  void it('mentions what it does not know, but not what is the client’s', () => {
    const { ignored } = read({ link: 'x', type: 'vmkd', preLaunchTask: 'make', __sessionId: '1', colour: 3 });
    assert.equal(ignored.length, 1);
    assert.match(ignored[0]!, /“colour”/);
  });

  void it('says what a field wants', () => {
    refused({ link: 7 }, /“link” wants a text, not 7/);
    refused({ link: 'x', breakOnAttach: 'yes' }, /“breakOnAttach” wants true or false, not "yes"/);
    refused({ link: 'x', timeouts: { attach: -1 } }, /“timeouts.attach” wants seconds/);
    refused({ link: 'x', initCommands: 'g' }, /“initCommands” wants a list of texts/);
    refused({ link: 'x', sourceMap: { a: 1 } }, /“sourceMap” wants an object whose values are texts/);
    refused({ link: 'x', stopAt: ['module:'] }, /“stopAt” wants/);
    refused('nonsense', /no object/);
  });

  void it('takes a machine in the stead of a link', () => {
    const { configuration } = read({ vm: '/vms/w11.vmx' });
    assert.deepEqual(configuration.machine, { kind: 'vm', vm: '/vms/w11.vmx' });
    refused({ vm: '/vms/w11.vmx', link: 'x' }, /keep one of them/);
  });

  void it('says where the machine has its memory, and how it shall be used', () => {
    const { configuration } = read({ link: 'x', transport: 'hybrid', guestRam: { file: '/dev/shm/ram' } });
    assert.equal(configuration.transport, 'hybrid');
    assert.deepEqual(configuration.guestRam, { file: '/dev/shm/ram', machine: 'pc', lowMiB: undefined });
    const other = read({ link: 'x', guestRam: { file: 'f', machine: 'q35', lowMiB: 1024 } });
    assert.deepEqual(other.configuration.guestRam, { file: 'f', machine: 'q35', lowMiB: 1024 });
    refused(
      { link: 'x', transport: 'fast' },
      /“transport” wants one of “auto”, “mailbox”, “hybrid”, “serial”/,
    );
    refused({ link: 'x', guestRam: {} }, /“guestRam.file” is missing/);
    refused({ link: 'x', guestRam: { file: 'f', lowMiB: 0.5 } }, /“guestRam.lowMiB” wants mebibytes/);
    refused({ link: 'x', guestRam: { file: 'f', layout: 'pc' } }, /There is no field “guestRam.layout”/);
  });
});
