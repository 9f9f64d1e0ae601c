/** What all pages need: the way to the extension, and elements whose text is text. */

interface VsCodeApi {
  postMessage(message: unknown): void;
  getState(): unknown;
  setState(state: unknown): void;
}

declare function acquireVsCodeApi(): VsCodeApi;

export interface Host<From> {
  send(message: From): void;
  /** What was kept when the page was last there. */
  readonly state: unknown;
  keep(state: unknown): void;
}

/** @param heard Gets each message of the extension. */
export function connect<From>(heard: (message: never) => void): Host<From> {
  const api = acquireVsCodeApi();
  window.addEventListener('message', ({ data }: MessageEvent<unknown>) => heard(data as never));
  return {
    send: (message) => api.postMessage(message),
    state: api.getState(),
    keep: (state) => api.setState(state),
  };
}

type Attributes = Readonly<Record<string, string | boolean | ((event: never) => void)>>;

/** An element with attributes, handlers (`onclick`) and children; texts become text nodes. */
export function element<Tag extends keyof HTMLElementTagNameMap>(
  tag: Tag,
  attributes: Attributes = {},
  ...children: readonly (Node | string)[]
): HTMLElementTagNameMap[Tag] {
  const made = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === 'function') made.addEventListener(name.slice(2), value as EventListener);
    else if (typeof value === 'boolean') made.toggleAttribute(name, value);
    else made.setAttribute(name, value);
  }
  made.append(...children);
  return made;
}
