/** Loaded modules with the state of their symbols, and the source files that those name. */

import type { DebugProtocol as P } from '@vscode/debugprotocol';
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

    loadedSources(session) {
      const found = new Map<string, P.Source>();
      for (const { pdb } of session.target.symbols.modules) {
        for (const { path } of pdb?.sourcePaths ?? []) {
          const source = session.sources.describe(path);
          found.set(source.path ?? path, source);
        }
      }
      return { sources: [...found.values()] };
    },
  },
};
