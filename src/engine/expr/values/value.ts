/** A value: a type and where it lives. Its bytes are read when they are needed. */

import type { Type } from '../types/type';
import type { BitRange, Place } from './place';

export interface Value {
  readonly type: Type;
  readonly place: Place;
  /** If it is a bit field, of an integer or enum of that type. */
  readonly bits?: BitRange;
}
