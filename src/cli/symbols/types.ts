/** `--type`: how a type is laid out, as WinDbg's dt prints it; with wildcards, which types there are. */

import { VmkdError } from '../../engine/core/errors';
import { hex } from '../../engine/core/hex';
import type { Pdb } from '../../engine/symbols/pdb/pdb';
import { withoutModule } from '../../engine/symbols/services/moduleName';
import { nearNames, offer } from '../../engine/symbols/services/nearNames';
import { findType, searchTypes, type NamedType } from '../../engine/symbols/services/typeSearch';
import { enumeratorsOf } from '../../engine/symbols/types/enums';
import { layoutOf, type LayoutField, type StructLayout } from '../../engine/symbols/types/structLayout';
import type { TypeTable } from '../../engine/symbols/types/typeTable';
import { declarationOf, shortTextOf } from '../../engine/symbols/types/typeText';
import type { Answer, SymbolView } from '../symbolView';

/** Undefined if there is no such type here. @throws file-damaged */
export function describeType(view: SymbolView, text: string): Answer | undefined {
  const { session } = view;
  const name = withoutModule(session.moduleName, text);
  const { pdb } = session.open;
  if (name === undefined || pdb === undefined) return undefined;
  if (/[*?]/.test(name)) return listTypes(view, pdb, name);
  const found = findType(pdb, name);
  if (found.length === 0) return undefined;
  const shown = found.slice(0, view.options.limit).map((type) => describe(view, pdb.types, type));
  return {
    data: { file: session.path, module: session.moduleName, types: shown.map(({ data }) => data) },
    lines: shown.flatMap(({ lines }, i) => [
      ...(shown.length > 1 ? [`definition ${i + 1} of ${shown.length}:`] : []),
      ...lines,
    ]),
  };
}

export const typeNames = ({ session }: SymbolView): string[] =>
  session.open.pdb === undefined ? [] : searchTypes(session.open.pdb, '*').map(({ name }) => name);

/** The error to give if no file has the type. @param names Of all types that there are. */
export function noSuchType(text: string, names: readonly string[]): VmkdError {
  if (names.length === 0) {
    return new VmkdError('name-unknown', `There is no type “${text}”, and no other: no file has a PDB`, {
      nextStep:
        'Give the PDB itself, or say with --symbol-path where it is; --download lets servers be asked.',
    });
  }
  const near = nearNames(text.slice(text.indexOf('!') + 1), names);
  return new VmkdError('name-unknown', `There is no type “${text}”${offer(near)}`, {
    nextStep: 'List types with wildcards: --type "*PART*".',
  });
}

function listTypes({ session, options }: SymbolView, pdb: Pdb, pattern: string): Answer | undefined {
  const found = searchTypes(pdb, pattern);
  if (found.length === 0) return undefined;
  const shown = found.slice(0, options.limit);
  const rest = found.length - shown.length;
  return {
    data: {
      file: session.path,
      module: session.moduleName,
      total: found.length,
      types: shown.map(({ name, type }) => ({ name, size: pdb.types.sizeOf(type) })),
    },
    lines: [
      ...shown.map(({ name }) => `          ${session.moduleName}!${name}`),
      ...(rest > 0 ? [`… and ${rest} more: --limit shows them`] : []),
    ],
  };
}

function describe({ session }: SymbolView, types: TypeTable, { name, type }: NamedType): Answer {
  const heading = `${session.moduleName}!${name}`;
  const layout = layoutOf(types, type);
  if (layout !== undefined) return describeStruct(types, heading, layout);
  const enumerators = enumeratorsOf(types, type);
  const size = types.sizeOf(type);
  if (enumerators !== undefined) {
    return {
      data: { name, kind: 'enum', size, enumerators },
      lines: [
        heading,
        `Enum ${name}, ${enumerators.length} total enums, ${hex(size)} bytes`,
        ...enumerators.map((e) => `   ${e.name} = 0n${e.value}`),
      ],
    };
  }
  const declaration = declarationOf(types, type, name);
  return {
    data: { name, kind: 'other', size, declaration },
    lines: [`${heading}: ${shortTextOf(types, type)}`, `typedef ${declaration}`],
  };
}

function describeStruct(types: TypeTable, heading: string, layout: StructLayout): Answer {
  const { tag, name, size, fields, virtualBases } = layout;
  const width = Math.max(16, ...fields.map((field) => Math.min(field.name.length, 40)));
  const digits = Math.max(3, size.toString(16).length);
  return {
    data: {
      name,
      kind: tag,
      size,
      fields: fields.map((field) => ({
        ...field,
        type: fieldText(types, field),
        declaration: declarationOf(types, field.type),
      })),
      virtualBases,
    },
    lines: [
      heading,
      `${tag} ${name}, ${fields.length} elements, ${hex(size)} bytes`,
      ...fields.map(
        (field) =>
          `   +${hex(field.offset, digits)} ${field.name.padEnd(width)} : ${fieldText(types, field)}`,
      ),
      ...virtualBases.map(
        (base) => `   virtual base ${base.name}, by the table at ${hex(base.pointerOffset, digits)}`,
      ),
    ],
  };
}

function fieldText(types: TypeTable, { kind, bits, type, size }: LayoutField): string {
  if (kind === 'vtablePointer') return `Ptr${size * 8}`;
  if (bits === undefined) return shortTextOf(types, type);
  return `Pos ${bits.position}, ${bits.length} Bit${bits.length === 1 ? '' : 's'}`;
}
