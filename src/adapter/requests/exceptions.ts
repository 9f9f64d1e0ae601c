/** Which exceptions stop the kernel, and what the one was that did. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
import { asVmkdError, VmkdError } from '../../engine/core/errors';
import type { ExceptionRule } from '../../engine/target/target';
import { errorText } from '../errors';
import type { Family } from '../protocol';
import { bugcheckText, exceptionText } from '../stopText';

interface Filter extends P.ExceptionBreakpointsFilter {
  /** What the user must know of it. */
  readonly message?: string;
  /** The rule with this filter on. @throws value-out-of-range for a condition that it does not understand */
  readonly apply: (rule: ExceptionRule, condition: string | undefined) => ExceptionRule;
}

const filters: readonly Filter[] = [
  {
    filter: 'bugcheck',
    label: 'Bugchecks',
    description: 'Stops when the kernel gives up (KeBugCheckEx).',
    default: true,
    apply: (rule) => ({ ...rule, bugchecks: true }),
  },
  {
    filter: 'codeBreakpoint',
    label: 'Breakpoints in the code',
    description: 'Stops at DbgBreakPoint, assertions and other int3s of the code itself.',
    default: true,
    apply: (rule) => ({ ...rule, codeBreakpoints: true }),
  },
  {
    filter: 'firstChance',
    label: 'First-chance exceptions',
    description: 'Stops before handlers see an exception. Exceptions that nobody handles always stop.',
    supportsCondition: true,
    conditionDescription: 'NTSTATUS values to stop at, e.g. 0xc0000005, 0xc000001d. Empty: all.',
    message:
      'Windows tells of first chances only with FLG_STOP_ON_EXCEPTION in nt!NtGlobalFlag (gflags /r +soe).',
    apply: (rule, condition) => ({ ...rule, firstChance: statusList(condition) }),
  },
  {
    filter: 'moduleLoad',
    label: 'Module loads',
    description: 'Stops when a driver is loaded, before its first instruction.',
    supportsCondition: true,
    conditionDescription: 'Names of modules with wildcards, e.g. mydriver*, other. Empty: all.',
    apply: (rule, condition) => ({ ...rule, moduleLoads: [...rule.moduleLoads, ...names(condition)] }),
  },
  {
    filter: 'moduleUnload',
    label: 'Module unloads',
    description: 'Stops when a driver is about to go.',
    supportsCondition: true,
    conditionDescription: 'Names of modules with wildcards, e.g. mydriver*, other. Empty: all.',
    apply: (rule, condition) => ({ ...rule, moduleUnloads: names(condition) }),
  },
];

const nothing: ExceptionRule = {
  bugchecks: false,
  firstChance: 'none',
  codeBreakpoints: false,
  moduleLoads: [],
  moduleUnloads: [],
};

export const exceptions: Family = {
  capabilities: (parts) => ({
    exceptionBreakpointFilters: parts.breakpoints
      ? filters.map(({ apply: _apply, message: _message, ...described }) => described)
      : [],
    supportsExceptionFilterOptions: parts.breakpoints,
    supportsExceptionInfoRequest: true,
  }),
  requests: {
    setExceptionBreakpoints(session, { filters: plain, filterOptions = [] }) {
      const { breakpoints } = session.target;
      if (breakpoints === undefined)
        throw new VmkdError('target-unsupported', 'This target cannot run, so that nothing can stop it');
      let rule: ExceptionRule = { ...nothing, moduleLoads: session.configuration.stopAt.modules };
      const wanted: P.ExceptionFilterOptions[] = [
        ...plain.map((filterId) => ({ filterId })),
        ...filterOptions,
      ];
      const results = wanted.map(({ filterId, condition }): P.Breakpoint => {
        try {
          const { apply, message } = filterNamed(filterId);
          rule = apply(rule, condition);
          return { verified: true, ...(message === undefined ? {} : { message }) };
        } catch (thrown) {
          return { verified: false, message: errorText(asVmkdError(thrown)), reason: 'failed' };
        }
      });
      breakpoints.exceptionRule = rule;
      return { breakpoints: results };
    },

    exceptionInfo(session) {
      const { reason } = session.mustBeStopped().stop;
      const { symbols } = session.target;
      if (reason.kind === 'exception') {
        const { id, name, description } = exceptionText(reason.exception, symbols);
        const breakMode = reason.exception.firstChance ? 'always' : 'unhandled';
        return {
          exceptionId: `${name} (${id})`,
          description,
          breakMode,
          details: { typeName: name, message: description },
        };
      }
      if (reason.kind === 'bugcheck') {
        const { id, name, description } = bugcheckText(reason.code, reason.parameters, symbols);
        return {
          exceptionId: `${name} (${id})`,
          description,
          breakMode: 'unhandled',
          details: { typeName: name, message: description },
        };
      }
      throw new VmkdError('request-stale', 'The kernel did not stop for an exception', {
        nextStep: 'Ask when it has stopped for one, or for a bugcheck.',
      });
    },
  },
};

function filterNamed(id: string): Filter {
  const found = filters.find(({ filter }) => filter === id);
  if (found !== undefined) return found;
  throw new VmkdError('request-bad', `There is no exception filter “${id}”`);
}

const wordsOf = (condition: string): string[] => condition.split(/[\s,;]+/).filter((word) => word !== '');

function names(condition = ''): string[] {
  const words = wordsOf(condition);
  return words.length === 0 ? ['*'] : words;
}

/** @throws value-out-of-range */
function statusList(condition = ''): ExceptionRule['firstChance'] {
  const words = wordsOf(condition);
  if (words.length === 0) return 'all';
  return new Set(
    words.map((word) => {
      const digits = word.replace(/^0x/i, '');
      if (/^[0-9a-f]{1,8}$/i.test(digits)) return Number(`0x${digits}`);
      throw new VmkdError('value-out-of-range', `“${word}” is no NTSTATUS`, {
        nextStep: 'Write the values in hexadecimal, separated by commas: 0xc0000005, 0xc000001d.',
      });
    }),
  );
}
