/** A listing for people, as WinDbg prints it, and for machines. */

import { hex } from '../../engine/core/hex';
import { formatLine, type InstructionLine } from '../../engine/cpu/disassembler';
import type { SourceLine } from '../../engine/symbols/services/imageSymbols';
import type { SourceTexts } from '../../engine/symbols/services/sourceText';
import type { SymbolFileSession } from '../../engine/symbols/services/symbolFileSession';
import { sourceText } from '../symbolView';
import type { ImageCode } from './imageCode';
import type { Listing } from './listing';

function sourceOf({ open }: SymbolFileSession, rva: number): SourceLine | undefined {
  return open.symbols.framesAt(rva).find(({ source }) => source !== undefined)?.source;
}

export function asData(code: ImageCode, { blocks, anchored }: Listing): object {
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

export class Writer {
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
    return [
      ...rows,
      `${String(line).padStart(5)}: ${text?.lines[line - 1]?.replaceAll('\t', '    ') ?? ''}`.trimEnd(),
    ];
  }
}
