/** Loaded modules with the state of their symbols, which `vmkd/loadSymbols` loads, and the source files that those name. */

import { VmkdError } from '../../engine/core/errors';
import { describeSymbolState } from '../../engine/windows/moduleSymbols';
import { describeModule, moduleId } from '../moduleEvents';
import type { Family } from '../protocol';

export const modules: Family = {
  capabilities: () => ({ supportsModulesRequest: true, supportsLoadedSourcesRequest: true }),
  requests: {
    modules(session, { startModule = 0, moduleCount = 0 }) {
      const all = session.target.symbols.modules;
      const shown = all.slice(startModule, moduleCount > 0 ? startModule + moduleCount : undefined);
      return { modules: shown.map(describeModule), totalModules: all.length };
    },

    async 'vmkd/loadSymbols'(session, { base }, call) {
      session.mustBeStopped();
      const module = session.target.symbols.modules.find((one) => moduleId(one) === base);
      if (module === undefined) throw new VmkdError('value-out-of-range', `There is no module at ${base}`);
      await session.symbolLoading.load([module], true, call.signal);
      return { isLoaded: module.state.kind === 'loaded', symbolStatus: describeSymbolState(module.state) };
    },

    loadedSources: (session) => ({ sources: [...session.sources.all().values()] }),
  },
};
