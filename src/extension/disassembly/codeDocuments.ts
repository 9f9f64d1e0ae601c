/**
 * Code as documents: the function that an expression, a line of source, or a frame is in, with its source lines between. VS Code's
 * own disassembly view is that of the frame which is selected; it cannot be sent anywhere else.
 *
 *   vmkd-code:/vmkdemo!VmkDemoWork?SESSION#0xfffff80312345678
 *
 * Invariants: a document belongs to one session, and keeps its text when that has ended; what it shows is read again when its module
 * has changed (renewal.ts), once nothing more has for a moment. In another kernel than that of its address it is found by its name.
 * Names in it lead on: “Go to Definition”, or Ctrl and a click.
 */

import * as vscode from 'vscode';
import { asVmkdError } from '../../engine/core/errors';
import { reference } from '../memory/units';
import type { KernelSession, KernelSessions } from '../session/sessions';
import type { SessionState } from '../session/sessionState';
import { sourceUri } from '../session/sourceUri';
import { InstructionMark } from './instructionMark';
import { lineOfAddress, listingOf, placeAt, rowsOfFunction, type CodeRow, type Listing } from './listing';
import { changedRanges, isWithin } from './renewal';
import { sourceLines } from './sourceLines';

const scheme = 'vmkd-code';
const language = 'vmkd-code';
/** Instructions within which a function must begin in front of its parts, and how many of it are shown. */
const before = 1000;
const after = 4000;
/** Milliseconds without news of modules: their symbols come in a row. */
const settleTime = 300;

export class CodeDocuments
  implements
    vscode.TextDocumentContentProvider,
    vscode.DefinitionProvider,
    vscode.DocumentLinkProvider,
    vscode.Disposable
{
  readonly #changed = new vscode.EventEmitter<vscode.Uri>();
  readonly onDidChange = this.#changed.event;
  /** Of documents that are open, or about to be: by their addresses. */
  readonly #listings = new Map<string, Listing>();
  /** Those of them that have to be read again. */
  readonly #stale = new Set<string>();
  /** Which kernel of its session the address of a document is of; also if it is closed, for one can go back to it. */
  readonly #boots = new Map<string, number>();
  #timer: NodeJS.Timeout | undefined;
  readonly #marks = new InstructionMark();
  readonly #ends: vscode.Disposable[];

  constructor(private readonly sessions: KernelSessions) {
    this.#ends = [
      vscode.workspace.onDidOpenTextDocument((document) => {
        if (document.uri.scheme === scheme && document.languageId !== language)
          void vscode.languages.setTextDocumentLanguage(document, language);
      }),
      vscode.workspace.onDidCloseTextDocument((document) => {
        // Another language closes it for a moment, too.
        if (!vscode.workspace.textDocuments.includes(document))
          this.#listings.delete(document.uri.toString());
      }),
      vscode.debug.onDidChangeActiveStackItem(() => this.#mark()),
      vscode.window.onDidChangeVisibleTextEditors(() => this.#mark()),
      // What was read again has its instruction elsewhere.
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (document.uri.scheme === scheme) this.#mark();
      }),
      sessions.onStarted((session) => session.onChange((before) => this.#follow(session, before))),
    ];
  }

  register(): vscode.Disposable[] {
    return [
      vscode.workspace.registerTextDocumentContentProvider(scheme, this),
      vscode.languages.registerDefinitionProvider({ scheme }, this),
      vscode.languages.registerDocumentLinkProvider({ scheme }, this),
    ];
  }

  dispose(): void {
    clearTimeout(this.#timer);
    vscode.Disposable.from(this.#changed, this.#marks, ...this.#ends).dispose();
  }

  /** @throws what the adapter answers */
  async open(session: KernelSession, address: bigint): Promise<void> {
    const { uri, listing } = await this.#list(session, address);
    const line = lineOfAddress(listing, address) ?? 0;
    const selection = new vscode.Range(line, 0, line, 0);
    await vscode.window.showTextDocument(uri, { selection, preview: false });
  }

  /** What the cursor is at: a name in an instruction, else the instruction. */
  addressAt({ document, selection: { active } }: vscode.TextEditor): bigint | undefined {
    const named = placeAt(document.lineAt(active.line).text, active.character)?.address;
    return named ?? this.#listings.get(document.uri.toString())?.lines[active.line]?.address;
  }

  async provideTextDocumentContent(uri: vscode.Uri): Promise<string> {
    const key = uri.toString();
    const known = this.#listings.get(key);
    const session = this.sessions.byId(uri.query);
    if (known !== undefined && (session === undefined || !this.#stale.has(key))) return textOf(known);
    if (session === undefined) return 'The session has ended.';
    this.#stale.delete(key);
    try {
      return textOf((await this.#list(session, await this.#addressOf(session, uri), uri)).listing);
    } catch (thrown) {
      this.#listings.delete(key);
      return asVmkdError(thrown).message;
    }
  }

  async #addressOf(session: KernelSession, uri: vscode.Uri): Promise<bigint> {
    const { boot } = session.state;
    if ((this.#boots.get(uri.toString()) ?? boot) === boot) return BigInt(uri.fragment);
    const expression = uri.path.slice(1);
    return BigInt((await session.own('vmkd/locate', { expression })).memoryReference);
  }

  async provideDefinition(
    document: vscode.TextDocument,
    { line, character }: vscode.Position,
  ): Promise<vscode.LocationLink[]> {
    const place = placeAt(document.lineAt(line).text, character);
    const session = this.sessions.byId(document.uri.query);
    if (place === undefined || session?.state.phase !== 'stopped') return [];
    const target = await this.#list(session, place.address);
    const there = lineOfAddress(target.listing, place.address) ?? 0;
    return [
      {
        originSelectionRange: new vscode.Range(line, place.start, line, place.end),
        targetUri: target.uri,
        targetRange: new vscode.Range(there, 0, there, 0),
      },
    ];
  }

  /** Source lines lead to their files. */
  provideDocumentLinks({ uri }: vscode.TextDocument): vscode.DocumentLink[] {
    const lines = this.#listings.get(uri.toString())?.lines ?? [];
    return lines.flatMap(({ text, source }, line) => {
      const file = sourceUri(source?.file);
      if (source === undefined || file === undefined) return [];
      const end = /^\S+/.exec(text)?.[0].length ?? 0;
      const target = file.with({ fragment: `L${source.line}` });
      return [new vscode.DocumentLink(new vscode.Range(line, 0, line, end), target)];
    });
  }

  /** @param uri Of a document that there is; undefined: it follows from the function. */
  async #list(
    session: KernelSession,
    address: bigint,
    uri?: vscode.Uri,
  ): Promise<{ uri: vscode.Uri; listing: Listing }> {
    const memoryReference = reference(address);
    const ask = async (from: string, instructionOffset: number, instructionCount: number) => {
      const args = { memoryReference: from, instructionOffset, instructionCount };
      return (await session.ask<{ instructions: readonly CodeRow[] }>('disassemble', args)).instructions;
    };
    // The address may be in the middle of an instruction: the function is decoded from where it begins.
    const start = (await ask(memoryReference, -before, before + 1)).findLast(
      (row) => row.symbol !== undefined,
    );
    const rows = rowsOfFunction(await ask(start?.address ?? memoryReference, 0, after), 0);
    const [first] = rows;
    if (first === undefined) throw new Error(`There is no memory at ${memoryReference}`);
    const name = first.symbol ?? first.address;
    const listing = listingOf(rows, name, await sourceLines(rows));
    const place =
      uri ??
      vscode.Uri.from({ scheme, path: `/${name}`, query: session.session.id, fragment: first.address });
    this.#listings.set(place.toString(), listing);
    if (uri === undefined) this.#boots.set(place.toString(), session.state.boot);
    return { uri: place, listing };
  }

  #follow(session: KernelSession, before: SessionState): void {
    const { modules, boot, phase, epoch } = session.state;
    const isNews = modules !== before.modules;
    if (isNews) {
      const ranges = changedRanges(before.modules, modules);
      for (const key of this.#open(session)) {
        const listing = this.#listings.get(key.toString());
        if (listing !== undefined && (boot !== before.boot || isWithin(listing, ranges)))
          this.#stale.add(key.toString());
      }
    }
    // In a kernel that runs nothing can be read: at the next stop, then.
    if (phase !== 'stopped' || (!isNews && phase === before.phase && epoch === before.epoch)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#renew(), settleTime);
  }

  /** Those that are old, and those that could not be read. */
  #renew(): void {
    for (const uri of this.#open()) {
      const key = uri.toString();
      const isOld = this.#stale.has(key) || !this.#listings.has(key);
      if (isOld && this.sessions.byId(uri.query)?.state.phase === 'stopped') this.#changed.fire(uri);
    }
  }

  /** Documents that are open, of one session or of all. */
  #open(of?: KernelSession): vscode.Uri[] {
    return vscode.workspace.textDocuments
      .map(({ uri }) => uri)
      .filter(({ scheme: one, query }) => one === scheme && (of === undefined || query === of.session.id));
  }

  #mark(): void {
    const editors = vscode.window.visibleTextEditors.filter(({ document }) => document.uri.scheme === scheme);
    if (editors.length === 0) return;
    const { shown } = this.sessions;
    void this.#marks.show(editors, shown, ({ uri }) =>
      uri.query === shown?.session.id ? this.#listings.get(uri.toString()) : undefined,
    );
  }
}

const textOf = ({ lines }: Listing): string => lines.map(({ text }) => text).join('\n');
