/**
 * KD through the guest module's mailbox, beside KD by the UART, and beside the least that shared memory could take. All of it
 * with one guest, which has one processor, in one run.
 *
 * The echo is what any transport of these bytes between this event loop and that guest must do: write as many bytes as the
 * request has, then a word; wait, by the same doorbell, until the guest has handed the word back, which it does as soon as
 * it sees it; read as many bytes as the reply has. It leaves out rings, checksums, KD's client, and KD's stub in the guest. The
 * word alone, in a loop that does nothing else and lets nobody else run, is shown as well.
 */

import { plus, type VirtualAddress } from '../../../src/engine/core/addresses';
import { systemClock } from '../../../src/engine/core/clock';
import { readVirtualMemory, writeVirtualMemory } from '../../../src/engine/kd/manipulate/memory';
import { createEndpoint } from '../../../src/engine/link/endpoint';
import { MailboxFinder } from '../../../src/engine/link/mailbox/finder';
import { PollingDoorbell, type Found } from '../../../src/engine/link/mailbox/doorbell';
import {
  guestLine,
  guestOffset,
  hostLine,
  hostOffset,
  messageHead,
  ringsOffset,
} from '../../../src/engine/link/mailbox/layout';
import type { MailboxRam, MailboxWindow } from '../../../src/engine/link/mailbox/ram';
import { openGuestRam } from '../../../src/engine/machine/ram/openGuestRam';
import { LiveTarget } from '../../../src/engine/target/liveTarget';
import { ramOf } from '../../fixtures/guestRam';
import { bootDemoKernel } from '../../kernel/machine';
import type { Figure } from '../bench';

const attach = { breakIn: true, milliseconds: 30_000 } as const;
const patience = 30_000;
const written = 1 << 20;
/** By the UART a mebibyte takes a minute; its rate does not depend on how much it is. */
const writtenByUart = 64 << 10;
const longestWrite = 3944;
/** Of a read of 16 bytes, and of its reply. */
const requestBytes = messageHead.size + 56;
const replyBytes = messageHead.size + 56 + 16;
/** Milliseconds and times that one way is tried, one after the other, so that a busy machine is busy for both. */
const slice = 300;
const mostInSlice = 2000;
const rounds = 7;
/** Milliseconds after which others have their turn: the session's heart beats in the event loop. */
const longestAway = 20;

export async function mailboxFigures(): Promise<Figure[]> {
  const machine = await bootDemoKernel({ guestModule: 'later', cpus: 1, memoryMiB: 128 });
  const endpoint = createEndpoint(machine.kdLink);
  const ram = openGuestRam(ramOf(machine));
  let onMailbox: () => void = () => undefined;
  const carried = new Promise<void>((resolve) => (onMailbox = resolve));
  const target = new LiveTarget({
    endpoint,
    linkMilliseconds: patience,
    mailbox: { ram, onCarrier: (carrying) => carrying === 'mailbox' && onMailbox() },
  });
  try {
    await target.attach(attach);
    const scratch = await machineScratch(target);
    const uart = {
      roundTrip: median(await times(() => readWord(target, scratch), 3000)),
      write: await rate(() => write(target, scratch, writtenByUart), writtenByUart),
    };
    await target.resume();
    await machine.console.command('load vmkd.sys', patience);
    await carried;
    await target.breakIn(patience);

    const echo = await Echo.open(ram);
    const ratios: number[] = [];
    const echoTimes: number[] = [];
    const wordTimes: number[] = [];
    const roundTripTimes: number[] = [];
    const writes: number[] = [];
    for (let round = 0; round < rounds; round++) {
      const kd = median(await times(() => readWord(target, scratch), slice));
      const bare = median(await times(() => echo.bytes(), slice));
      ratios.push(kd / bare);
      echoTimes.push(bare);
      wordTimes.push(median(await times(() => echo.word(), slice)));
      roundTripTimes.push(kd);
      writes.push(await rate(() => write(target, scratch, written), written));
    }
    echo.close();
    await target.release();
    const mailbox = { roundTrip: median(roundTripTimes), write: median(writes) };
    process.stderr.write(
      `KD round trip: UART ${us(uart.roundTrip)}, mailbox ${us(mailbox.roundTrip)}, ` +
        `bare echo ${us(median(echoTimes))}, of a word ${us(median(wordTimes))}; ` +
        `KD write: UART ${kilobytes(uart.write)}, mailbox ${kilobytes(mailbox.write)}\n`,
    );
    return [
      { id: 'mailbox.roundtrip_vs_echo', value: median(ratios), unit: 'x', goal: { atMost: 3 } },
      {
        id: 'mailbox.roundtrip_vs_uart',
        value: uart.roundTrip / mailbox.roundTrip,
        unit: 'x',
        goal: { atLeast: 50 },
      },
      {
        id: 'mailbox.write_vs_uart',
        value: mailbox.write / uart.write,
        unit: 'x',
        goal: { atLeast: 100 },
      },
      { id: 'mailbox.roundtrip_us_p50', value: mailbox.roundTrip * 1000, unit: 'us' },
      { id: 'mailbox.echo_us_p50', value: median(echoTimes) * 1000, unit: 'us' },
      { id: 'mailbox.word_echo_us_p50', value: median(wordTimes) * 1000, unit: 'us' },
    ];
  } finally {
    target.detach();
    await endpoint.dispose();
    await machine.stop();
    ram.close();
  }
}

/** Memory that may be overwritten while the kernel stands: the image of a driver that is never loaded, as a file in memory. */
async function machineScratch(target: LiveTarget): Promise<VirtualAddress> {
  const [kernel] = await target.modules();
  if (!kernel) throw new Error('the demo kernel has no modules');
  return kernel.base;
}

async function readWord({ client }: LiveTarget, address: VirtualAddress): Promise<void> {
  const { data } = await client.request(readVirtualMemory, { address, count: 16 });
  if (data.length !== 16) throw new Error(`${data.length} bytes`);
}

/** Writes what is there already. */
async function write({ client }: LiveTarget, start: VirtualAddress, length: number): Promise<void> {
  const { data } = await client.request(readVirtualMemory, { address: start, count: longestWrite });
  if (data.length !== longestWrite) throw new Error(`${data.length} bytes`);
  for (let done = 0; done < length;) {
    const part = data.subarray(0, Math.min(longestWrite, length - done));
    const reply = await client.request(
      writeVirtualMemory,
      { address: plus(start, 0), count: part.length },
      { data: part },
    );
    if (reply.fields.actual !== part.length) throw new Error(`${reply.fields.actual} bytes were written`);
    done += part.length;
  }
}

/** The guest waits for packets meanwhile, and hands words back. */
class Echo {
  readonly #doorbell = new PollingDoorbell(systemClock);
  readonly #line = new Uint8Array(guestLine.size);
  readonly #view = new DataView(this.#line.buffer);
  readonly #request = new Uint8Array(requestBytes);
  readonly #reply = new Uint8Array(replyBytes);
  #ping = 0;
  #heard: (() => void) | undefined;

  private constructor(
    private readonly window: MailboxWindow,
    /** Of a slot that the host's next message will be in. */
    private readonly slot: number,
  ) {
    this.#doorbell.start(() => this.#look());
  }

  static async open(ram: MailboxRam): Promise<Echo> {
    const finder = new MailboxFinder(ram, systemClock);
    const { signal } = new AbortController();
    const found = await finder.living(await finder.scan(signal), signal);
    if (!found) throw new Error('there is no mailbox');
    const { pages, slotCount, slotBytes } = found.description;
    const next = (found.words.taken + 1) % slotCount;
    return new Echo(ram.window(pages), ringsOffset + (slotCount + next) * slotBytes);
  }

  bytes(): Promise<void> {
    return new Promise((resolve) => {
      this.window.write(this.slot, this.#request);
      this.#send();
      this.#heard = () => {
        this.window.read(ringsOffset, this.#reply);
        resolve();
      };
      this.#doorbell.expect();
    });
  }

  async word(): Promise<void> {
    this.#send();
    while (!this.#isBack()) continue;
  }

  close(): void {
    this.#doorbell.stop();
    this.window.close();
  }

  #send(): void {
    this.#ping++;
    this.window.writeU32(hostOffset + hostLine.fields.ping[0], this.#ping);
  }

  #isBack(): boolean {
    this.window.read(guestOffset, this.#line);
    return this.#view.getUint32(guestLine.fields.pong[0], true) === this.#ping;
  }

  #look(): Found {
    if (!this.#heard || !this.#isBack()) return 'nothing';
    const heard = this.#heard;
    this.#heard = undefined;
    heard();
    return 'ours';
  }
}

/** Of an action, again and again for that many milliseconds. */
async function times(action: () => Promise<void>, milliseconds: number): Promise<number[]> {
  const results: number[] = [];
  let turn = performance.now();
  for (const end = turn + milliseconds; results.length < mostInSlice;) {
    const started = performance.now();
    if (started > end && results.length > 0) break;
    if (started - turn > longestAway) {
      await new Promise((resolve) => setImmediate(resolve));
      turn = performance.now();
      continue;
    }
    await action();
    results.push(performance.now() - started);
  }
  return results;
}

/** Bytes a second. */
async function rate(action: () => Promise<void>, bytes: number): Promise<number> {
  const started = performance.now();
  await action();
  return (bytes / (performance.now() - started)) * 1000;
}

const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
const us = (milliseconds: number): string => `${(milliseconds * 1000).toFixed(1)} us`;
const kilobytes = (bytesPerSecond: number): string => `${(bytesPerSecond / 1024).toFixed(0)} KB/s`;
