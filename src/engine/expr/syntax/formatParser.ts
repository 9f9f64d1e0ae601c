/** The format specifiers at the end of an expression; formatSpecifiers.ts says what they are. */

import { bad } from '../expressionError';
import type { NameNode } from './ast';
import { formatWord, formatWords, rawFormat, type FormatWord, type WrittenFormat } from './formatSpecifiers';
import { fieldPath } from './intrinsics';
import type { Parser } from './parser';

/** @throws expression-bad */
export function readFormat(parser: Parser): WrittenFormat {
  let format: WrittenFormat = {};
  while (parser.cursor.skip(',')) format = { ...format, ...specifier(parser) };
  return format;
}

function specifier(parser: Parser): WrittenFormat {
  const { cursor } = parser;
  const { token } = cursor;
  if (cursor.skip('[')) {
    const count = parser.expression();
    cursor.expect(']', 'after the number of elements');
    return { count };
  }
  if (token.kind === 'number') {
    cursor.take();
    return { count: token };
  }
  if (cursor.skip('!')) return rawFormat;
  if (token.kind !== 'name' || token.module !== undefined)
    return cursor.fail('A format is missing after the comma.');
  cursor.take();
  return token.name === 'list' ? listFormat(parser) : word(token);
}

function word(token: NameNode): FormatWord {
  const format = formatWord(token.name);
  if (format) return format;
  throw bad(
    `“${token.name}” is no format.`,
    token.span,
    `Formats are ${formatWords.join(' ')} ! [n] list(…).`,
  );
}

/** `(nt!_EPROCESS.ActiveProcessLinks)` */
function listFormat(parser: Parser): WrittenFormat {
  parser.cursor.expect('(', 'after “list”');
  const type = parser.type();
  parser.cursor.expect('.', 'between the type and its field');
  const field = fieldPath(parser);
  parser.cursor.expect(')', 'at the end of “list(”');
  return { list: { type, field } };
}
