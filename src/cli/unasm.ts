/** `vmkd unasm IMAGE [PLACE]`: machine code of an image as WinDbg's u, ub and uf list it. */

import { VmkdError } from '../engine/core/errors';
import { openDisassembler } from '../engine/cpu/disassembler';
import { SourceTexts } from '../engine/symbols/services/sourceText';
import { parseCommandLine, untilInterrupted, type Command } from './command';
import { toJson } from './json';
import {
  parseBase,
  parseCount,
  parseSourceMap,
  symbolFileDetails,
  symbolFileOptions,
  whyExports,
  withSymbolFile,
} from './symbolFiles';
import { SymbolView } from './symbolView';
import { printableLine } from './terminal';
import { ImageCode } from './unasm/imageCode';
import { list } from './unasm/listing';
import { asData, Writer } from './unasm/output';

export const unasm: Command = {
  name: 'unasm',
  usage: 'unasm IMAGE [PLACE] [--count N] [--before N] [--whole] [--source] [--base ADDRESS] [--json] …',
  summary: 'Lists the machine code of an image, with symbols.',
  details: `  PLACE                   an RVA, an address, or a symbol; default: the entry point
  --count N               so many instructions (8)
  --before N              and so many before the place
  --whole                 the whole function, also what the linker moved elsewhere
  --source                with the source lines in between
${symbolFileDetails}
  vmkd unasm driver.sys DriverEntry --whole --source
`,
  async run(args, terminal) {
    const { values, positionals } = parseCommandLine(args, {
      ...symbolFileOptions,
      count: { type: 'string' },
      before: { type: 'string' },
      whole: { type: 'boolean', default: false },
      source: { type: 'boolean', default: false },
    });
    const [file, place] = positionals;
    if (file === undefined || positionals.length > 2)
      throw new VmkdError('usage', 'vmkd unasm wants one image, and one place in it at most');
    if (values.whole && (values.count !== undefined || values.before !== undefined))
      throw new VmkdError('usage', '--whole lists the whole function: it takes neither --count nor --before');
    const wanted = {
      place,
      whole: values.whole,
      count: values.count === undefined ? 8 : parseCount(values.count, 'count', 1_000_000),
      before: values.before === undefined ? 0 : parseCount(values.before, 'before', 10_000),
    };
    const options = {
      base: parseBase(values.base),
      undecorate: true,
      sourceMap: parseSourceMap(values['source-map']),
      limit: Infinity,
    };
    await untilInterrupted((signal) =>
      withSymbolFile(file, values, terminal, signal, async (session) => {
        const view = new SymbolView(session, options);
        const code = new ImageCode(view);
        const why = whyExports(session);
        if (why !== undefined) terminal.error(`vmkd: ${printableLine(why)}\n`);
        const disassembler = await openDisassembler(code.machine, code.nameOf);
        try {
          const listing = await list(code, disassembler, wanted);
          if (!listing.anchored)
            terminal.error('vmkd: where instructions begin before the place is a guess\n');
          const { pdb } = session.open;
          const texts = values.source && pdb ? new SourceTexts(pdb, options.sourceMap) : undefined;
          if (values.json) terminal.out(toJson(asData(code, listing)));
          else terminal.rows(new Writer(code, texts).lines(listing));
        } finally {
          disassembler.dispose();
        }
      }),
    );
  },
};
