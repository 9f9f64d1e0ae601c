/**
 * The serial ports of a .vmx, and the link that leads to one.
 *
 *   serial0.present = "TRUE"                 absent: there is no port
 *   serial0.fileType = "pipe"                pipe, network, device, file, thinprint
 *   serial0.fileName = "\\.\pipe\com_1"      Windows: a named pipe; Linux, macOS: the path of a socket
 *   serial0.pipe.endPoint = "server"         which end the machine is; the other one is ours
 *   serial0.startConnected = "TRUE"
 *   serial0.tryNoRxLoss = "TRUE"             the other end is an application: nothing is dropped when it is slow
 *   serial0.yieldOnMsrRead = "TRUE"          a guest that polls gives its processor away
 *   serial1.fileType = "network"             ESXi alone; fileName "tcp://:8001", serial1.network.endPoint
 *
 * Known: the keys and their values (VMware's manuals, public .vmx files); a missing network.endPoint is a server (libvirt).
 * Assumed: so is a missing pipe.endPoint; a path that is not absolute is beside the .vmx; serialN is the guest's COM(N+1).
 *
 * Invariant: a link leads to this machine: what the file says of other hosts is never followed.
 */

import path from 'node:path';
import type { HostSystem } from '../host';
import { VmkdError } from '../../core/errors';
import type { Dictionary } from './dictionary';

export type SerialEnd = 'server' | 'client';

export type SerialBacking =
  | { readonly kind: 'pipe'; readonly path: string; readonly end: SerialEnd }
  | { readonly kind: 'network'; readonly uri: string; readonly end: SerialEnd }
  /** A real port, a file, a printer: nothing that KD can travel over. */
  | { readonly kind: 'other'; readonly fileType: string };

export interface SerialPort {
  /** N of serialN. */
  readonly number: number;
  readonly backing: SerialBacking;
  readonly startConnected: boolean;
  readonly tryNoRxLoss: boolean;
  readonly yieldOnMsrRead: boolean;
}

/** ESXi allows 32; Workstation and Fusion 4. */
const mostPorts = 32;

export function serialPorts(vmx: Dictionary): SerialPort[] {
  const numbers = Array.from({ length: mostPorts }, (_, number) => number);
  return numbers
    .filter((number) => vmx.flag(`serial${number}.present`) === true)
    .map((number) => portOf(vmx, number));
}

function portOf(vmx: Dictionary, number: number): SerialPort {
  const text = (key: string): string => vmx.text(`serial${number}.${key}`) ?? '';
  const flag = (key: string): boolean | undefined => vmx.flag(`serial${number}.${key}`);
  const endOf = (key: string): SerialEnd => (text(key).toLowerCase() === 'client' ? 'client' : 'server');
  const fileType = text('fileType').toLowerCase();
  const fileName = text('fileName');
  return {
    number,
    backing:
      fileType === 'pipe'
        ? { kind: 'pipe', path: fileName, end: endOf('pipe.endPoint') }
        : fileType === 'network'
          ? { kind: 'network', uri: fileName, end: endOf('network.endPoint') }
          : { kind: 'other', fileType: fileType === '' ? 'device' : fileType },
    startConnected: flag('startConnected') ?? true,
    tryNoRxLoss: flag('tryNoRxLoss') ?? false,
    yieldOnMsrRead: flag('yieldOnMsrRead') ?? false,
  };
}

/** What a link depends on besides the port. */
export interface LinkPlace {
  readonly platform: HostSystem;
  /** The path of the .vmx. */
  readonly vmxPath: string;
}

/** The link to a port, as engine/link understands it. @throws machine-serial-unusable with the lines that make it usable */
export function linkOf(port: SerialPort, place: LinkPlace): string {
  const { backing } = port;
  if (!port.startConnected) throw unusable(port, place, 'it is not connected at power-on');
  switch (backing.kind) {
    case 'pipe':
      return pipeLink(port, backing, place);
    case 'network':
      return networkLink(port, backing, place);
    case 'other':
      throw unusable(port, place, `what it leads to is of type “${backing.fileType}”`);
  }
}

/** The link to the first port that KD can use. @throws machine-no-serial, machine-serial-unusable, with the lines to write */
export function kdLink(ports: readonly SerialPort[], place: LinkPlace): string {
  let first: unknown;
  for (const port of ports) {
    try {
      return linkOf(port, place);
    } catch (thrown) {
      first ??= thrown;
    }
  }
  if (first !== undefined) throw first as VmkdError;
  throw new VmkdError('machine-no-serial', `${place.vmxPath} has no serial port.`, {
    nextStep: addLines('Power the machine off and add', 0, place),
  });
}

/** The lines of a port that is as KD likes it. */
export function goodPortLines(number: number, { platform, vmxPath }: LinkPlace): string[] {
  const paths = platform === 'win32' ? path.win32 : path.posix;
  const name = paths.basename(vmxPath, paths.extname(vmxPath)).replace(/[^\w-]+/g, '_');
  const fileName = platform === 'win32' ? `\\\\.\\pipe\\${name}` : `/tmp/${name}.serial`;
  return [
    'present = "TRUE"',
    'fileType = "pipe"',
    `fileName = "${fileName}"`,
    'pipe.endPoint = "server"',
    'startConnected = "TRUE"',
    'tryNoRxLoss = "TRUE"',
    'yieldOnMsrRead = "TRUE"',
  ].map((line) => `serial${number}.${line}`);
}

function pipeLink(port: SerialPort, backing: SerialBacking & { kind: 'pipe' }, place: LinkPlace): string {
  const listening = backing.end === 'client' ? '-listen' : '';
  if (backing.path === '') throw unusable(port, place, 'its pipe has no name');
  const windowsName = /^[\\/]{2}([^\\/]+)[\\/]pipe[\\/](.+)$/is.exec(backing.path);
  if (place.platform === 'win32') {
    if (windowsName === null)
      throw unusable(port, place, `“${backing.path}” is no name of a pipe on Windows`);
    const [, server, name = ''] = windowsName;
    if (server !== '.') throw unusable(port, place, `“${backing.path}” is a pipe of another computer`);
    return `pipe${listening}:${name}`;
  }
  if (windowsName !== null)
    throw unusable(port, place, `“${backing.path}” is a pipe of Windows, and this is none`);
  return `unix${listening}:${path.posix.resolve(path.posix.dirname(place.vmxPath), backing.path)}`;
}

function networkLink(
  port: SerialPort,
  { uri, end }: SerialBacking & { kind: 'network' },
  place: LinkPlace,
): string {
  const match = /^(\w[\w+.-]*):\/\/(\[[^\]]*\]|[^:/]*):(\d{1,5})\/?$/.exec(uri);
  if (match === null) throw unusable(port, place, `“${uri}” is not understood`);
  const [, protocol = '', host = '', service = ''] = match;
  if (!/^tcp[46]?$/i.test(protocol))
    throw unusable(port, place, `${protocol} changes the bytes of KD on their way; only tcp:// does not`);
  if (!isThisMachine(host)) throw unusable(port, place, `“${uri}” names another computer`);
  return end === 'server' ? `tcp:127.0.0.1:${service}` : `tcp-listen:${service}`;
}

const isThisMachine = (host: string): boolean =>
  ['', 'localhost', '0.0.0.0', '[::]', '[::1]'].includes(host.toLowerCase()) ||
  /^127(?:\.\d{1,3}){3}$/.test(host);

function unusable(port: SerialPort, place: LinkPlace, why: string): VmkdError {
  const message = `serial${port.number} of ${place.vmxPath} cannot carry KD: ${why}.`;
  return new VmkdError('machine-serial-unusable', message, {
    nextStep: addLines(
      `Power the machine off and put, in the place of all lines of serial${port.number}`,
      port.number,
      place,
    ),
  });
}

const addLines = (begin: string, number: number, place: LinkPlace): string =>
  `${begin}, into ${place.vmxPath}:\n${goodPortLines(number, place).join('\n')}`;
