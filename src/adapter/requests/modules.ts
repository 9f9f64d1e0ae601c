/** Loaded modules with the state of their symbols, and the source files that those name. */

import { describeModule } from '../moduleEvents';
import type { Family } from '../protocol';

export const modules: Family = {
  capabilities: () => ({ supportsModulesRequest: true, supportsLoadedSourcesRequest: true }),
  requests: {
    modules(session, { startModule = 0, moduleCount = 0 }) {
      const all = session.target.symbols.modules;
      const shown = all.slice(startModule, moduleCount > 0 ? startModule + moduleCount : undefined);
      return { modules: shown.map(describeModule), totalModules: all.length };
    },

    loadedSources: (session) => ({ sources: [...session.sources.all().values()] }),
  },
};
