/**
 * From what an expression says to what it means: names are looked up, types settled, C++'s rules applied. Nothing of the
 * target's memory is read here, so that what is bound stays right as long as names mean the same (the context's scope).
 */

import type { EvaluationContext } from '../context';
import type { Node, TypeNode } from '../syntax/ast';
import { sizeType } from '../types/builtinTypes';
import { isScalar, type EnumType, type ScalarType, type StructType, type Type } from '../types/type';
import { asScalar, constant, enumOf, placeBound, type Bound, type ScalarBound } from './bound';
import { bad } from '../expressionError';
import { bindArithmetic, bindUnary } from './operators';
import { bindAssignment, bindStep } from './assignments';
import { bindCast } from './casts';
import { bindComparison, bindConditional, bindLogical } from './logic';
import { bindCall, bindContainingRecord, bindFieldOf } from './intrinsics';
import { bindIndex, bindMember, completed } from './members';
import { bindName, bindPseudo, bindRegister, isUnknownName } from './names';
import { bindType, namedType } from './typeNodes';

export class Binder {
  /** Whether running what was bound changes the target. */
  writes = false;

  constructor(readonly context: EvaluationContext) {}

  get pointerSize(): 4 | 8 {
    return this.context.pointerSize;
  }

  /** @param hint An enum whose enumerators need no qualification here. @throws ExpressionError, file-damaged */
  async bind(node: Node, hint?: EnumType): Promise<Bound> {
    switch (node.kind) {
      case 'name':
        return bindName(this, node, hint);
      case 'number':
        return constant(node.type as ScalarType, node.span, node.value);
      case 'text':
        return textBound(node);
      case 'register':
        return bindRegister(this, node.name, node.span);
      case 'pseudo':
        return bindPseudo(this, node.name, node.span);
      case 'unary':
        return bindUnary(this, node, hint);
      case 'arithmetic':
        return bindArithmetic(this, node, hint);
      case 'comparison':
        return bindComparison(this, node);
      case 'logical':
        return bindLogical(this, node);
      case 'conditional':
        return bindConditional(this, node, hint);
      case 'assignment':
        return bindAssignment(this, node);
      case 'step':
        return bindStep(this, node);
      case 'member':
        return bindMember(this, node);
      case 'index':
        return bindIndex(this, node);
      case 'cast':
        return bindCast(this, node);
      case 'sizeof':
        return this.#sizeof(node);
      case 'call':
        return bindCall(this, node);
      case 'containingRecord':
        return bindContainingRecord(this, node);
      case 'fieldOf':
        return bindFieldOf(this, node);
    }
  }

  async scalar(node: Node, hint?: EnumType): Promise<ScalarBound> {
    return asScalar(await this.bind(node, hint), this.pointerSize);
  }

  /** Two operands, of which either may be an enumerator of the other's enum. */
  async pair(left: Node, right: Node, hint?: EnumType): Promise<[Bound, Bound]> {
    let first: Bound;
    try {
      first = await this.bind(left, hint);
    } catch (error) {
      if (!isUnknownName(error)) throw error;
      const second = await this.bind(right, hint);
      const enumType = enumOf(second);
      if (!enumType) throw error;
      return [await this.bind(left, enumType), second];
    }
    return [first, await this.bind(right, enumOf(first) ?? hint)];
  }

  type(node: TypeNode): Promise<Type> {
    return bindType(this, node);
  }

  /** The definition, where a module has no more than a declaration. */
  completed(type: StructType): Promise<StructType> {
    return completed(this.context, type);
  }

  async #sizeof({ operand, span }: Node & { kind: 'sizeof' }): Promise<Bound> {
    const type = await this.#sizedType(operand);
    const whole = type.kind === 'struct' ? await this.completed(type) : type;
    if (whole.size === 0) throw bad('The size of this is not known.', span);
    return constant(sizeType(this.pointerSize) as ScalarType, span, BigInt(whole.size));
  }

  async #sizedType(operand: (Node & { kind: 'sizeof' })['operand']): Promise<Type> {
    if (operand.kind === 'type') return this.type(operand.type);
    const { value } = operand;
    try {
      return (await this.bind(value)).type;
    } catch (error) {
      if (value.kind !== 'name' || !isUnknownName(error)) throw error;
      const type = await namedType(this.context, value);
      if (!type) throw error;
      return type;
    }
  }
}

function textBound({ text, type, span }: Node & { kind: 'text' }): Bound {
  const unit = type.kind === 'array' && isScalar(type.element) ? type.element.size : 1;
  const bytes = new Uint8Array((text.length + 1) * unit);
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    bytes[i * unit] = code & 0xff;
    if (unit > 1) bytes[i * unit + 1] = code >> 8;
  }
  return { ...placeBound(type, span, () => ({ kind: 'bytes', bytes })), kind: 'place', text };
}
