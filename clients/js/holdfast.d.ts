// Types of holdfast.js.

export type Transport = "websocket" | "sse";
export type State = "connecting" | "open" | "waiting" | "closed";

export interface Options {
  /** Names for the parameter `channel` of the URL, in which the built-in relay joins channels. */
  channels?: string[];
  /** A JSON Web Token, or a function that gives one for each connection; nothing: none is sent. */
  token?: string | (() => string | undefined | null | Promise<string | undefined | null>);
  /** Whether a session is resumed; the listener has `resume`. Default: true. */
  resume?: boolean;
  /** In the order in which they are tried. Default: ["websocket", "sse"]. */
  transports?: Transport[];
  /** Subprotocols of the WebSocket. */
  protocols?: string | string[];
  /** Whether it comes back after a close; undefined: as the code says. */
  again?: (code: number, reason: string) => boolean | undefined;
  /** Milliseconds from the attempt, the token included, to its first message. Default: 10000. */
  firstMessage?: number;
  /** Milliseconds without a sign of life after which a connection is given up; 0: never. Default: 75000 for sse, 0 for websocket. */
  silence?: number;
  /** The back-off's limit in milliseconds at the first failure. Default: 500. */
  minDelay?: number;
  /** The back-off's highest limit. Default: 30000. */
  maxDelay?: number;
  /** The age in milliseconds of a connection whose end makes the back-off small again. Default: 10000. */
  healthy?: number;
  /** What stands for globalThis; for tests. */
  env?: object;
}

export interface Origin {
  /** By sse: the channel of the message, if it has one. */
  channel?: string;
  /** By sse: the position of the message in a channel that keeps messages. */
  position?: string;
}

export interface Opened {
  transport: Transport;
  /** Nothing was missed, or `missed` follows for single channels. */
  resumed: boolean;
  /** By a websocket of a listener with `resume`: the session, and the seconds it would wait. */
  session?: string;
  window?: number;
}

export interface Closed {
  /** The close code, the status of a refused sse request, or 0: given up by the client. */
  code: number;
  reason: string;
  /** It comes back by itself. */
  again: boolean;
}

export interface Missed {
  /** By sse: the one channel that it is about; absent: any message may be missing. */
  channel?: string;
  position?: string | null;
}

export interface Events {
  message: (data: string | ArrayBuffer, origin: Origin) => void;
  open: (opened: Opened) => void;
  close: (closed: Closed) => void;
  missed: (missed: Missed) => void;
  state: (state: State) => void;
}

export class Holdfast {
  /** Connects at once. A URL of ws, wss, http or https, or in a page a relative one. */
  constructor(url: string | URL, options?: Options);
  readonly state: State;
  /** Returns a function that takes the listener away. */
  on<Name extends keyof Events>(name: Name, listener: Events[Name]): () => void;
  /** False: there is no connection that takes it. Nothing is kept for later. */
  send(data: string | ArrayBuffer | ArrayBufferView | Blob): boolean;
  /** For good; another session takes another object. */
  close(): void;
}
