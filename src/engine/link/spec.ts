/**
 * How a person names a link, and what it means.
 *
 *   unix:/path               connect to a Unix socket (VMware and QEMU on Linux and macOS: “server” end)
 *   unix-listen:/path        listen on one (the serial port is the “client” end)
 *   tcp:host:port            connect; an IPv6 address stands in brackets
 *   tcp-listen:[host:]port   listen, on this machine's loopback only (127.0.0.1 unless told otherwise)
 *   pipe:name                connect to \\.\pipe\name (VMware on Windows: “server” end)
 *   pipe-listen:name         listen on it
 *   /path, \\.\pipe\name     short for unix:/path and pipe:name; \\server\pipe\name is another machine's pipe
 *   com:pipe,port=\\.\pipe\name[,resets=N][,reconnect]      what WinDbg's -k takes, so that it can be pasted
 *   com:ipport=PORT,port=HOST
 *
 * Invariant: parse(format(spec)) equals spec.
 * Source of WinDbg's forms: Microsoft's page on live kernel-mode debugging with WinDbg. Its `resets` and `reconnect`
 * say how often to send RESET and whether to reopen the pipe; we resynchronise and reopen in any case, so that they
 * are checked and have no effect.
 */

import { isIPv4, isIPv6 } from 'node:net';
import { VmkdError } from '../core/errors';

/** Links that connect. `path` of a pipe is its full name, `\\server\pipe\name`; the server `.` is this machine. */
export type ConnectSpec =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number }
  | { readonly kind: 'pipe'; readonly path: string };

/** Links that listen, on this machine only. */
export type ListenSpec =
  | { readonly kind: 'unix-listen'; readonly path: string }
  | { readonly kind: 'tcp-listen'; readonly host: string; readonly port: number }
  | { readonly kind: 'pipe-listen'; readonly path: string };

export type LinkSpec = ConnectSpec | ListenSpec;

/** sockaddr_un holds 108 bytes with the final NUL (macOS: 104); the kernel would cut a longer name short. */
const unixPathLimit = process.platform === 'darwin' ? 103 : 107;
/** Windows: the whole name, prefix included. */
const pipePathLimit = 256;
const specLimit = 4096;

const pipePattern = /^[\\/]{2}([^\\/]+)[\\/]pipe[\\/](.*)$/is;

/** @throws VmkdError `link-bad-spec` that says what is wrong with `text`. */
export function parseLinkSpec(text: string): LinkSpec {
  if (text.length > specLimit)
    throw bad(`${text.slice(0, 40)}…`, `it is longer than ${specLimit} characters`);
  if (pipePattern.test(text)) return parsePipe(text, 'pipe', text);
  if (text.startsWith('/')) return parseUnix(text, 'unix', text);
  const colon = text.indexOf(':');
  if (colon < 0) throw bad(text, 'it has no kind, such as “unix:” or “pipe:”');
  const kind = text.slice(0, colon).toLowerCase();
  const rest = text.slice(colon + 1);
  switch (kind) {
    case 'unix':
    case 'unix-listen':
      return parseUnix(text, kind, rest);
    case 'tcp':
    case 'tcp-listen':
      return parseTcp(text, kind, rest);
    case 'pipe':
    case 'pipe-listen':
      return parsePipe(text, kind, rest);
    case 'com':
      return parseCom(text, rest);
    default:
      throw bad(text, `“${kind}” is no kind of link`);
  }
}

/** The canonical way to write `spec`. */
export function formatLinkSpec(spec: LinkSpec): string {
  switch (spec.kind) {
    case 'unix':
    case 'unix-listen':
      return `${spec.kind}:${spec.path}`;
    case 'tcp':
    case 'tcp-listen':
      return `${spec.kind}:${isIPv6(spec.host) ? `[${spec.host}]` : spec.host}:${spec.port}`;
    case 'pipe':
    case 'pipe-listen':
      return `${spec.kind}:${spec.path.startsWith(localPipes) ? spec.path.slice(localPipes.length) : spec.path}`;
  }
}

const localPipes = '\\\\.\\pipe\\';

function bad(text: string, why: string, nextStep?: string): VmkdError {
  const message = `“${text}” does not name a link: ${why}.`;
  return new VmkdError('link-bad-spec', message, nextStep === undefined ? {} : { nextStep });
}

function parseUnix(text: string, kind: 'unix' | 'unix-listen', path: string): LinkSpec {
  if (!path.startsWith('/')) throw bad(text, 'the path of a Unix socket must begin with “/”');
  if (path.includes('\0')) throw bad(text, 'the path holds a NUL');
  const length = Buffer.byteLength(path);
  if (length > unixPathLimit) {
    throw bad(text, `the path has ${length} bytes, and a Unix socket takes ${unixPathLimit} at most`);
  }
  return { kind, path };
}

function parseTcp(text: string, kind: 'tcp' | 'tcp-listen', rest: string): LinkSpec {
  const match = /^(?:(?:\[([^\]]*)\]|([^:]*)):)?([^:]*)$/s.exec(rest);
  if (match === null) throw bad(text, 'write host:port, an IPv6 address in brackets');
  const [, bracketed, plain, port = ''] = match;
  const host = bracketed ?? plain ?? (kind === 'tcp-listen' ? '127.0.0.1' : undefined);
  if (host === undefined) throw bad(text, 'write host:port');
  return tcp(text, kind, host, bracketed !== undefined, port);
}

function tcp(
  text: string,
  kind: 'tcp' | 'tcp-listen',
  host: string,
  bracketed: boolean,
  port: string,
): LinkSpec {
  const known = bracketed ? isIPv6(host) : /^[\p{L}\p{N}_](?:[\p{L}\p{N}._-]{0,252})$/u.test(host);
  if (!known) throw bad(text, `“${host}” is no ${bracketed ? 'IPv6 address' : 'host name'}`);
  const number = /^\d{1,5}$/.test(port) ? Number(port) : 0;
  if (number < 1 || number > 65535)
    throw bad(text, `the port must be a number from 1 to 65535, not “${port}”`);
  if (kind === 'tcp-listen' && !isLoopbackHost(host)) {
    throw bad(
      text,
      `vmkd listens on this machine's loopback only (127.0.0.1, ::1, localhost), not on “${host}”`,
    );
  }
  return { kind, host, port: number };
}

/** Whether a host name or address is this machine's loopback. */
export function isLoopbackHost(host: string): boolean {
  return host.toLowerCase() === 'localhost' || host === '::1' || (isIPv4(host) && host.startsWith('127.'));
}

function parsePipe(text: string, kind: 'pipe' | 'pipe-listen', rest: string): LinkSpec {
  const match = pipePattern.exec(rest);
  const server = match?.[1] ?? '.';
  const name = match?.[2] ?? rest;
  if (name === '') throw bad(text, 'the name of the pipe is missing');
  if (/[\\/]/.test(name)) throw bad(text, `the name of the pipe, “${name}”, may not hold “\\” or “/”`);
  if (/\p{Cc}/u.test(name + server)) throw bad(text, 'it holds a control character');
  if (kind === 'pipe-listen' && server !== '.') {
    throw bad(text, `vmkd listens on this machine's pipes only, not on those of “${server}”`);
  }
  const path = `\\\\${server}\\pipe\\${name}`;
  if (path.length > pipePathLimit) {
    throw bad(text, `${path.length} characters are too many for a pipe, which takes ${pipePathLimit}`);
  }
  return { kind, path };
}

/** Whether a text is a link at all, rather than a machine's name. */
export function isLinkSpec(text: string): boolean {
  try {
    parseLinkSpec(text);
    return true;
  } catch {
    return false;
  }
}

/** A link at which we are called. @param wants A sentence for one that is none. @throws link-bad-spec */
export function parseListenSpec(text: string, wants: string): ListenSpec {
  const spec = parseLinkSpec(text);
  switch (spec.kind) {
    case 'unix-listen':
    case 'tcp-listen':
    case 'pipe-listen':
      return spec;
    case 'unix':
    case 'tcp':
    case 'pipe':
      throw new VmkdError('link-bad-spec', `${wants}, not ${text}`);
  }
}

/** WinDbg's `-k com:…`: options separated by commas, in any order, in any case. */
function parseCom(text: string, rest: string): LinkSpec {
  const options = new Map<string, string | undefined>();
  for (const option of rest.split(',')) {
    const [, key = '', value] = /^([^=]*)(?:=(.*))?$/s.exec(option) ?? [];
    const name = key.trim().toLowerCase();
    if (!comOptions.has(name)) throw bad(text, `“${option}” is no option of WinDbg's com: that vmkd knows`);
    if (options.has(name)) throw bad(text, `“${name}” stands twice`);
    if ((value === undefined) !== (name === 'pipe' || name === 'reconnect')) {
      throw bad(text, value === undefined ? `“${name}=” needs a value` : `“${name}” takes no value`);
    }
    options.set(name, value);
  }
  const port = options.get('port');
  if (port === undefined) throw bad(text, '“port=” is missing');
  const resets = options.get('resets');
  if (resets !== undefined && !/^\d{1,9}$/.test(resets)) throw bad(text, `“resets=${resets}” needs a number`);
  if (options.has('pipe')) {
    if (options.has('ipport')) throw bad(text, 'it is either a pipe or TCP (ipport), not both');
    if (!pipePattern.test(port)) throw bad(text, `“port=${port}” should look like port=\\\\.\\pipe\\name`);
    return parsePipe(text, 'pipe', port);
  }
  const ipport = options.get('ipport');
  if (ipport === undefined) {
    throw bad(
      text,
      'it means a real serial port, which vmkd does not drive',
      "Let the virtual machine's serial port be a named pipe or socket, and give its name.",
    );
  }
  return tcp(text, 'tcp', port, isIPv6(port), ipport);
}

const comOptions = new Set(['pipe', 'port', 'resets', 'reconnect', 'ipport', 'baud']);
