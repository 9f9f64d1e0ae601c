/**
 * Ends of QEMU's character devices that matter here: serial ports, which carry KD, and QMP monitors.
 *
 *   -serial unix:/path,server=on,wait=off        -qmp unix:/path,server=on,wait=off
 *   -serial tcp:host:port,server=on              -qmp tcp:host:port,server=on
 *   -chardev socket,id=x,path=/path,server=on    -serial chardev:x, -device isa-serial,chardev=x, -mon chardev=x,mode=control
 *
 * Invariant: links and addresses lead to this machine.
 * Source of truth: QEMU's docs/system/invocation, qapi/char.json.
 */

import { VmkdError } from '../../core/errors';
import type { QemuArgument } from './commandLine';
import { isOn, parseOptionList, type OptionList } from './optionList';
import type { QmpAddress } from './qmp';

export type QemuSerial =
  | {
      readonly kind: 'unix';
      readonly id: string | undefined;
      readonly path: string;
      readonly server: boolean;
    }
  | {
      readonly kind: 'tcp';
      readonly id: string | undefined;
      readonly host: string;
      /** 0: the system has chosen, and only the monitor knows. */
      readonly port: number;
      readonly server: boolean;
    }
  | { readonly kind: 'unusable'; readonly why: string };

const mostSerials = 16;

/** In the order of the guest's COM ports. */
export function serialsOf(given: readonly QemuArgument[], at: (file: string) => string): QemuSerial[] {
  const chardevs = chardevsOf(given);
  const serials: QemuSerial[] = [];
  for (const { option, value } of given) {
    if (serials.length >= mostSerials) break;
    if (option === 'serial' && value !== 'none') serials.push(serialOf(value, chardevs, at));
    if (option !== 'device') continue;
    const device = parseOptionList(value, 'driver');
    if (/^(?:isa|pci)-serial$/.test(device.get('driver') ?? ''))
      serials.push(serialOf(`chardev:${device.get('chardev') ?? ''}`, chardevs, at));
  }
  return serials;
}

function serialOf(
  value: string,
  chardevs: ReadonlyMap<string, OptionList>,
  at: (file: string) => string,
): QemuSerial {
  const chardev = /^chardev:(.*)$/s.exec(value)?.[1];
  const options = chardev === undefined ? legacyEnd(value) : chardevs.get(chardev);
  if (options === undefined) return { kind: 'unusable', why: `“${value}” is no socket` };
  const backend = options.get('backend');
  if (backend !== 'socket')
    return { kind: 'unusable', why: `it leads to “${backend ?? value}”, which is no socket` };
  if (isOn(options, 'telnet') || isOn(options, 'websocket') || options.has('tls-creds'))
    return { kind: 'unusable', why: 'telnet, websocket and TLS change the bytes of KD on their way' };
  const server = isServer(options);
  const file = options.get('path');
  if (file !== undefined) {
    if (isOn(options, 'abstract')) return { kind: 'unusable', why: 'its socket is an abstract one' };
    return { kind: 'unix', id: chardev, path: at(file), server };
  }
  const port = Number(options.get('port') ?? '');
  if (!Number.isInteger(port) || port < 0 || port > 65535)
    return { kind: 'unusable', why: 'its port is no number' };
  return { kind: 'tcp', id: chardev, host: options.get('host') ?? '', port, server };
}

/** `unix:path,…` and `tcp:host:port,…` as -serial, -qmp and -monitor take them, in the words of -chardev. */
function legacyEnd(value: string): OptionList | undefined {
  const match = /^(unix|tcp|telnet):(.*)$/s.exec(value);
  if (match === null) return undefined;
  const [, kind = '', rest = ''] = match;
  const options = new Map(parseOptionList(rest, 'address'));
  const address = options.get('address') ?? '';
  options.set('backend', 'socket');
  if (kind === 'unix') return options.set('path', address);
  if (kind === 'telnet') options.set('telnet', 'on');
  const split = /^(?:\[([^\]]*)\]|([^:]*)):([^:]*)$/.exec(address);
  return options.set('host', split?.[1] ?? split?.[2] ?? '').set('port', split?.[3] ?? 'none');
}

const isServer = (options: OptionList): boolean => isOn(options, 'server');

/** QMP monitors; undefined for one to which nobody new can connect. */
export function monitorsOf(
  given: readonly QemuArgument[],
  at: (file: string) => string,
): (QmpAddress | undefined)[] {
  const chardevs = chardevsOf(given);
  const ends: OptionList[] = [];
  for (const { option, value } of given) {
    if (option === 'qmp' || option === 'qmp-pretty') {
      const chardev = /^chardev:(.*)$/s.exec(value)?.[1];
      ends.push((chardev === undefined ? legacyEnd(value) : chardevs.get(chardev)) ?? new Map());
    }
    if (option !== 'mon') continue;
    const mon = parseOptionList(value, 'chardev');
    if (mon.get('mode') === 'control') ends.push(chardevs.get(mon.get('chardev') ?? '') ?? new Map());
  }
  return ends.map((end) => monitorAddress(end, at));
}

function chardevsOf(given: readonly QemuArgument[]): ReadonlyMap<string, OptionList> {
  const lists = given
    .filter(({ option }) => option === 'chardev')
    .map(({ value }) => parseOptionList(value, 'backend'));
  return new Map(lists.map((options) => [options.get('id') ?? '', options]));
}

function monitorAddress(options: OptionList, at: (file: string) => string): QmpAddress | undefined {
  if (options.get('backend') !== 'socket' || !isServer(options) || options.has('tls-creds')) return undefined;
  const file = options.get('path');
  if (file !== undefined) return isOn(options, 'abstract') ? undefined : { path: at(file) };
  const host = localHost(options.get('host') ?? '');
  const port = Number(options.get('port') ?? '');
  return host !== undefined && port > 0 && port <= 65535 && Number.isInteger(port)
    ? { host, port }
    : undefined;
}

/** The loopback address by which a listener on `host` is reached; undefined if it listens elsewhere only. */
export function localHost(host: string): string | undefined {
  if (['', '0.0.0.0', 'localhost', '::'].includes(host.toLowerCase())) return '127.0.0.1';
  if (host === '::1') return '::1';
  return /^127(?:\.\d{1,3}){3}$/.test(host) ? host : undefined;
}

/** The link to a serial port, as engine/link understands it. @throws machine-serial-unusable */
export function qemuLink(serial: QemuSerial): string {
  const unusable = (why: string): VmkdError =>
    new VmkdError('machine-serial-unusable', `The serial port cannot carry KD: ${why}.`, {
      nextStep:
        'Start QEMU with -serial unix:/PATH,server=on,wait=off (or tcp:127.0.0.1:PORT,…) as its first serial port.',
    });
  if (serial.kind === 'unusable') throw unusable(serial.why);
  const listening = serial.server ? '' : '-listen';
  if (serial.kind === 'unix') {
    if (!serial.path.startsWith('/'))
      throw unusable(`its path, ${serial.path}, is relative to a folder that is not known`);
    return `unix${listening}:${serial.path}`;
  }
  if (serial.port === 0)
    throw unusable('the system has chosen its port, which only a monitor (-qmp) can tell');
  const host = localHost(serial.host);
  if (host === undefined) throw unusable(`it belongs to another computer, ${serial.host}`);
  const shown = host.includes(':') ? `[${host}]` : host;
  return serial.server ? `tcp:${shown}:${serial.port}` : `tcp-listen:${shown}:${serial.port}`;
}
