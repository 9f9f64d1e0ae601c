/**
 * One HTTP request, through a proxy if the environment names one, its answer unpacked as it comes. Redirects, retries
 * and limits are the caller's (download.ts); tests may put their own function in its place.
 *
 *   http://…   proxy: GET http://host/path                https://…   proxy: CONNECT host:443, then TLS inside
 *
 * Environment: HTTPS_PROXY, HTTP_PROXY, ALL_PROXY (either case), NO_PROXY (hosts, .domains, *, host:port).
 */

import { request as httpRequest, type IncomingMessage } from 'node:http';
import { request as httpsRequest } from 'node:https';
import type { Socket } from 'node:net';
import { pipeline, type Readable } from 'node:stream';
import { connect as tlsConnect } from 'node:tls';
import { createBrotliDecompress, createGunzip, createInflate } from 'node:zlib';

export interface HttpAnswer {
  readonly status: number;
  /** By lower-case name. */
  header(name: string): string | undefined;
  /** Decoded; throws if it is cut short. */
  readonly body: AsyncIterable<Uint8Array>;
  /** Ends it without reading the body. */
  discard(): void;
}

/** @throws an Error of the operating system, of TLS, or the signal's reason */
export type HttpGet = (url: URL, signal: AbortSignal) => Promise<HttpAnswer>;

type Environment = Readonly<Record<string, string | undefined>>;

/** Some servers answer nobody else. */
const userAgent = 'Microsoft-Symbol-Server/10.1710.0.0 (vmkd)';

export function httpGet(environment: Environment): HttpGet {
  return async (url, signal) => {
    const headers = { 'user-agent': userAgent, 'accept-encoding': 'gzip, deflate, br' };
    const proxy = proxyFor(url, environment);
    if (proxy === undefined) {
      return answerOf((url.protocol === 'https:' ? httpsRequest : httpRequest)(url, { signal, headers }));
    }
    const proxyHeaders = authorization(proxy);
    if (url.protocol === 'http:') {
      const { hostname, port } = hostOf(proxy);
      const throughProxy = {
        hostname,
        port,
        path: url.href,
        headers: { ...headers, host: url.host, ...proxyHeaders },
      };
      return answerOf(httpRequest({ signal, ...throughProxy }));
    }
    const socket = await tunnel(url, proxy, proxyHeaders, signal);
    const secured = await secure(socket, url.hostname, signal);
    const request = httpsRequest(url, { signal, headers, agent: false, createConnection: () => secured });
    // Nobody else ends the socket under the TLS, which would keep the process alive.
    request.on('close', () => {
      secured.destroy();
      socket.destroy();
    });
    return answerOf(request);
  };
}

function secure(socket: Socket, servername: string, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const onAbort = (): void => void secured.destroy(new Error('given up'));
    const secured = tlsConnect({ socket, servername }, () => {
      signal.removeEventListener('abort', onAbort);
      resolve(secured);
    });
    // Stays for good: the request brings a listener of its own later.
    secured.on('error', reject);
    secured.on('close', () => {
      signal.removeEventListener('abort', onAbort);
      socket.destroy();
    });
    signal.addEventListener('abort', onAbort);
    if (signal.aborted) onAbort();
  });
}

function answerOf(request: ReturnType<typeof httpRequest>): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    request.on('error', reject);
    request.on('response', (response) => resolve(answer(response)));
    request.end();
  });
}

function answer(response: IncomingMessage): HttpAnswer {
  return {
    status: response.statusCode ?? 0,
    header(name) {
      const value = response.headers[name];
      return Array.isArray(value) ? value[0] : value;
    },
    get body() {
      return decoded(response);
    },
    discard: () => void response.destroy(),
  };
}

function decoded(response: IncomingMessage): Readable {
  const decoders = {
    gzip: createGunzip,
    'x-gzip': createGunzip,
    deflate: createInflate,
    br: createBrotliDecompress,
  };
  const encoding = (response.headers['content-encoding'] ?? 'identity').trim().toLowerCase();
  if (encoding === 'identity' || encoding === '') return response;
  if (!Object.hasOwn(decoders, encoding)) {
    return response.destroy(new Error(`the server encodes its answer as “${encoding.slice(0, 40)}”`));
  }
  // An error on either side reaches whoever reads the decoder.
  return pipeline(response, decoders[encoding as keyof typeof decoders](), () => {});
}

function tunnel(url: URL, proxy: URL, headers: Record<string, string>, signal: AbortSignal): Promise<Socket> {
  return new Promise((resolve, reject) => {
    const target = `${url.hostname}:${url.port || '443'}`;
    const options = { ...hostOf(proxy), signal, method: 'CONNECT', path: target, agent: false as const };
    const request = (proxy.protocol === 'https:' ? httpsRequest : httpRequest)({
      ...options,
      headers: { host: target, ...headers },
    });
    request.on('error', reject);
    request.on('connect', (response, socket: Socket) => {
      if (response.statusCode === 200) {
        resolve(socket);
        return;
      }
      socket.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${response.statusCode} to CONNECT ${target}`));
    });
    request.on('response', (response) => {
      response.destroy();
      reject(new Error(`the proxy ${proxy.host} answered ${response.statusCode} to CONNECT ${target}`));
    });
    request.end();
  });
}

function proxyFor(url: URL, environment: Environment): URL | undefined {
  const variable = (name: string): string =>
    (environment[name.toLowerCase()] ?? environment[name.toUpperCase()] ?? '').trim();
  const own = url.protocol === 'https:' ? variable('https_proxy') : variable('http_proxy');
  const text = own === '' ? variable('all_proxy') : own;
  if (text === '' || isExcepted(url, variable('no_proxy'))) return undefined;
  return new URL(text.includes('://') ? text : `http://${text}`);
}

function isExcepted(url: URL, exceptions: string): boolean {
  const port = url.port || (url.protocol === 'https:' ? '443' : '80');
  return exceptions.split(/[\s,]+/).some((exception) => {
    const [, host = '', onlyPort] = /^\*?\.?(.*?)(?::(\d+))?$/.exec(exception.toLowerCase()) ?? [];
    if (exception === '*') return true;
    if (host === '' || (onlyPort !== undefined && onlyPort !== port)) return false;
    return url.hostname === host || url.hostname.endsWith(`.${host}`);
  });
}

const hostOf = (proxy: URL): { hostname: string; port: number } => ({
  hostname: proxy.hostname.replace(/^\[|\]$/g, ''),
  port: Number(proxy.port || (proxy.protocol === 'https:' ? 443 : 80)),
});

function authorization(proxy: URL): Record<string, string> {
  if (proxy.username === '') return {};
  const credentials = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(credentials).toString('base64')}` };
}
