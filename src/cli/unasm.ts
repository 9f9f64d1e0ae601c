/** `vmkd unasm IMAGE [PLACE]`: machine code of an image as WinDbg's u, ub and uf list it. */

import { signExtend32, virtualAddress, type VirtualAddress } from '../engine/core/addresses';
import { VmkdError } from '../engine/core/errors';
import { hex } from '../engine/core/hex';
import {
  formatLine,
  longestInstruction,
  openDisassembler,
  type CodeMachine,
  type Disassembler,
  type InstructionLine,
} from '../engine/cpu/disassembler';
import { disassembleBackward } from '../engine/cpu/disassemblerBackward';
import { codeBlocks, flowLength } from '../engine/cpu/functionBlocks';
import type { VirtualMemory } from '../engine/memory/virtualMemory';
import { knownMachine } from '../engine/symbols/pe/headers';
import type { PeFile } from '../engine/symbols/peImage';
import { functionExtent } from '../engine/symbols/services/functionExtent';
import type { SourceLine } from '../engine/symbols/services/imageSymbols';
import { instructionAnchor } from '../engine/symbols/services/instructionAnchor';
import { findPlace } from '../engine/symbols/services/namedPlaces';
import { SourceTexts } from '../engine/symbols/services/sourceText';
import type { SymbolFileSession } from '../engine/symbols/services/symbolFileSession';
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
import { machineText, sourceText, SymbolView } from './symbolView';
import { printable } from './terminal';

export const unasm: Command = {
  name: 'unasm',
  usage: 'unasm IMAGE [PLACE] [--count N] [--before N] [--whole] [--source] [--base ADDRESS] [--json] …',
  summary: 'Lists the machine code of an image, with symbols.',
  details: `  PLACE              an RVA, an address, or a symbol; default: the entry point
  --count N          so many instructions (8)
  --before N         and so many before the place
  --whole            the whole function, also what the linker moved elsewhere
  --source           with the source lines in between
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
        if (why !== undefined) terminal.error(printable(`vmkd: ${why}\n`));
        const disassembler = await openDisassembler(code.machine, code.nameOf);
        try {
          const listing = await list(code, disassembler, wanted);
          if (!listing.anchored)
            terminal.error('vmkd: where instructions begin before the place is a guess\n');
          const { pdb } = session.open;
          const texts = values.source && pdb ? new SourceTexts(pdb, options.sourceMap) : undefined;
          terminal.out(
            values.json
              ? toJson(asData(code, listing))
              : printable(`${new Writer(code, texts).lines(listing).join('\n')}\n`),
          );
        } finally {
          disassembler.dispose();
        }
      }),
    );
  },
};

interface Wanted {
  readonly place: string | undefined;
  readonly whole: boolean;
  readonly count: number;
  readonly before: number;
}

interface Listing {
  readonly blocks: readonly (readonly InstructionLine[])[];
  /** Whether all of them surely begin where instructions do, if the place does. */
  readonly anchored: boolean;
}

/** The code of an image by RVA, where `view` has it loaded. */
class ImageCode {
  readonly machine: CodeMachine;
  readonly image: PeFile;

  /** @throws file-unsupported */
  constructor(readonly view: SymbolView) {
    const { image, path, machine } = view.session;
    if (image === undefined) {
      throw new VmkdError('file-unsupported', `${path} is a PDB, which holds no code`, {
        nextStep: 'Give the image (.exe, .dll, .sys) that it belongs to.',
      });
    }
    const known = knownMachine(machine);
    if (known !== 'x64' && known !== 'x86') {
      throw new VmkdError('file-unsupported', `${path} is for ${machineText(machine)}`, {
        nextStep: 'vmkd disassembles x64 and x86 only.',
      });
    }
    this.machine = known;
    this.image = image;
  }

  addressOf(rva: number): VirtualAddress {
    const address = this.view.addressOf(rva);
    return this.machine === 'x64'
      ? virtualAddress(address)
      : signExtend32(Number(BigInt.asUintN(32, address)));
  }

  /** RVA modulo the width of an address; compare it with the image's size. */
  rvaOf(address: VirtualAddress): number {
    return Number(BigInt.asUintN(this.machine === 'x64' ? 64 : 32, address - this.view.base));
  }

  readonly nameOf = (address: VirtualAddress): string | undefined => {
    const rva = this.rvaOf(address);
    return rva < this.view.session.size ? this.view.place(rva) : undefined;
  };

  /** At most `length` bytes, as far as the file has them in one piece. */
  read(rva: number, length: number): Uint8Array {
    const { sections, sizeOfHeaders } = this.image.image;
    const parts = [{ rva: 0, size: sizeOfHeaders, fileSize: this.image.file.size }, ...sections];
    const part = parts.find((p) => p.rva <= rva && rva < p.rva + Math.min(p.size, p.fileSize));
    if (part === undefined) return new Uint8Array();
    const end = part.rva + Math.min(part.size, part.fileSize);
    return this.image.memory.read(rva, Math.min(length, end - rva));
  }

  readonly memory: VirtualMemory = {
    readPartial: (address, length) => Promise.resolve(this.read(this.rvaOf(address), length)),
  };
}

/** @throws name-unknown, name-ambiguous, value-out-of-range */
async function list(code: ImageCode, disassembler: Disassembler, wanted: Wanted): Promise<Listing> {
  const { view } = code;
  const rva = wanted.place === undefined ? code.image.image.entryPoint : findPlace(view.finder, wanted.place);
  if (code.read(rva, 1).length === 0) {
    throw new VmkdError('value-out-of-range', `${view.session.path} has no bytes at RVA ${hex(rva)}`, {
      nextStep: 'Give a place inside a section that the file has bytes of; “vmkd symbols IMAGE” lists them.',
    });
  }
  if (wanted.whole) return { blocks: wholeFunction(code, disassembler, rva), anchored: true };
  const address = code.addressOf(rva);
  const bytes = code.read(rva, wanted.count * longestInstruction);
  const lines = disassembler.disassemble(bytes, address, wanted.count);
  const before = await disassembleBackward(disassembler, code.memory, address, wanted.before, (at) => {
    const anchor = instructionAnchor(view.session.open, code.rvaOf(at));
    return anchor === undefined ? undefined : code.addressOf(anchor);
  });
  const blocks = [before.lines, lines].filter((block) => block.length > 0);
  return { blocks, anchored: before.anchored || before.lines.length === 0 };
}

function wholeFunction(
  code: ImageCode,
  disassembler: Disassembler,
  rva: number,
): readonly (readonly InstructionLine[])[] {
  const { open } = code.view.session;
  const extent = functionExtent(open, rva) ?? [flowExtent(code, disassembler, rva)];
  const lines = extent.flatMap(({ begin, end }) =>
    disassembler.disassemble(code.read(begin, end - begin), code.addressOf(begin)),
  );
  return codeBlocks(disassembler, lines);
}

const longestFlow = 0x10000;

/** Where nobody says how long a function is: by its flow, at most up to the next symbol. */
function flowExtent(
  code: ImageCode,
  disassembler: Disassembler,
  rva: number,
): { begin: number; end: number } {
  const { symbols } = code.view.session.open;
  const begin = symbols.symbolAt(rva)?.rva ?? rva;
  const next = symbols.search('*', Infinity).find((symbol) => symbol.rva > rva)?.rva ?? Infinity;
  const bytes = code.read(begin, Math.min(longestFlow, next - begin));
  const end = begin + flowLength(disassembler, bytes, code.addressOf(begin));
  return { begin, end: end > rva ? end : begin + bytes.length };
}

function sourceOf({ open }: SymbolFileSession, rva: number): SourceLine | undefined {
  return open.symbols.framesAt(rva).find(({ source }) => source !== undefined)?.source;
}

function asData(code: ImageCode, { blocks, anchored }: Listing): object {
  const { view } = code;
  const { path, moduleName, open } = view.session;
  return {
    file: path,
    module: moduleName,
    machine: code.machine,
    quality: open.symbols.quality,
    anchored,
    blocks: blocks.map((block) =>
      block.map((line) => {
        const rva = code.rvaOf(line.address);
        const source = sourceOf(view.session, rva);
        return {
          address: view.addressOf(rva),
          rva,
          bytes: line.bytes,
          text: line.text,
          status: line.status,
          symbol: view.place(rva),
          source: source && { path: source.path, line: source.line },
        };
      }),
    ),
  };
}

class Writer {
  /** `path:line` that was shown last. */
  #shown = '';
  #path = '';

  constructor(
    private readonly code: ImageCode,
    private readonly texts: SourceTexts | undefined,
  ) {}

  lines({ blocks }: Listing): string[] {
    return blocks.flatMap((block, i) => [
      ...(i > 0 ? [''] : []),
      ...block.flatMap((line, first) => this.#line(line, first === 0)),
    ]);
  }

  #line(line: InstructionLine, isFirst: boolean): string[] {
    const { view, machine } = this.code;
    const rva = this.code.rvaOf(line.address);
    const source = sourceOf(view.session, rva);
    const symbol = view.session.open.symbols.symbolAt(rva);
    const isLabelled = isFirst || symbol?.displacement === 0;
    const label = isLabelled ? (view.place(rva) ?? `${view.session.moduleName}+${hex(rva)}`) : undefined;
    return [
      ...(label === undefined ? [] : [`${label}${source ? ` ${sourceText(source)}` : ''}:`]),
      ...(this.texts && source ? this.#sourceLines(this.texts, source) : []),
      formatLine(line, machine),
    ];
  }

  #sourceLines(texts: SourceTexts, { path, line }: SourceLine): string[] {
    if (this.#shown === `${path}:${line}`) return [];
    this.#shown = `${path}:${line}`;
    const text = texts.find(path);
    const rows: string[] = [];
    if (this.#path !== path) {
      this.#path = path;
      const where = text?.path ?? path;
      if (text === undefined) rows.push(`; ${where} is not here: --source-map says where it is`);
      else if (text.checksum === 'mismatch') rows.push(`; ${where} is not the file that was compiled`);
      else rows.push(`; ${where}`);
    }
    return [...rows, `${String(line).padStart(5)}: ${text?.lines[line - 1] ?? ''}`.trimEnd()];
  }
}
