/** The kernel at the other end of the link: whether the link opens, whether anything comes, whether it is KD, and who it is. */

import { formatAddress } from '../../engine/core/addresses';
import { asVmkdError, type ErrorCode } from '../../engine/core/errors';
import { describeStateChange } from '../../engine/kd/stateChange';
import { createEndpoint } from '../../engine/link/endpoint';
import type { LinkEndpoint } from '../../engine/link/link';
import { LiveTarget } from '../../engine/target/liveTarget';
import { fail, pass, skip, type Patient, type Step } from './step';

export const linkOpens: Step = {
  name: 'link',
  async run(patient) {
    if (patient.link === undefined) return skip('there is no link');
    patient.endpoint = createEndpoint(patient.link);
    patient.open = await patient.endpoint.open({ waitMilliseconds: 0, signal: patient.signal });
    return pass(`${patient.link} is open`);
  },
};

export const bytesCome: Step = {
  name: 'bytes',
  async run(patient) {
    if (patient.open === undefined) return skip('the link is not open');
    await attach(patient);
    const { silence, target } = patient;
    if (silence !== undefined) return talks.has(silence.code) ? pass('something comes') : fail(silence);
    return pass(`${target?.client.statistics?.bytesReceived ?? 0} bytes came`);
  },
};

/** Failures of who has said something. */
const talks: ReadonlySet<ErrorCode> = new Set<ErrorCode>([
  'target-garbage',
  'target-not-acknowledging',
  'target-32bit-protocol',
  'target-unsupported',
  'protocol-violation',
]);

/** The one attempt whose outcome several steps tell. */
async function attach(patient: Patient): Promise<void> {
  const target = new LiveTarget({ endpoint: theOpenOne(patient), linkMilliseconds: 0 });
  try {
    await target.attach({ breakIn: true, milliseconds: patient.milliseconds, signal: patient.signal });
    patient.target = target;
  } catch (thrown) {
    const error = asVmkdError(thrown);
    if (error.code === 'cancelled') throw error;
    patient.silence = error;
  }
}

/** The endpoint with the link that is open already: ports of machines let one client in at a time. */
function theOpenOne(patient: Patient): LinkEndpoint {
  const endpoint = patient.endpoint!;
  return {
    spec: endpoint.spec,
    open(options) {
      const { open } = patient;
      delete patient.open;
      return open === undefined ? endpoint.open(options) : Promise.resolve(open);
    },
    diagnoseSilence: async (link) => endpoint.diagnoseSilence?.(link),
    dispose: () => endpoint.dispose(),
  };
}

export const kdAnswers: Step = {
  name: 'KD',
  async run({ target, silence }) {
    if (silence !== undefined && talks.has(silence.code)) return fail(silence);
    if (target === undefined) return skip('nothing came');
    const { change } = target.stopped;
    const stood = target.client.stoppedByAttach ? '' : '; it stood already, and is left so';
    return pass(`the kernel answers: ${describeStateChange(change)}${stood}`);
  },
};

export const version: Step = {
  name: 'version',
  async run({ target }) {
    if (target === undefined) return skip('no kernel answered');
    const { build, machine, protocolVersion, kernelBase } = target.stopped.version;
    return pass(
      `build ${build} ${machine}, KD protocol ${protocolVersion}, kernel at ${formatAddress(kernelBase)}`,
    );
  },
};
