import type { Socket } from 'node:net';

export class Gdb {
  static over(socket: Socket): Promise<Gdb>;
  close(): Promise<void>;
  runTo(address: number): Promise<void>;
  step(): Promise<void>;
  registers(): Promise<bigint[]>;
}
