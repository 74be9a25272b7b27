// client.mjs - the client under test, with its events in lists and, for some tests, a socket that does as the test says.

import assert from "node:assert/strict";
import { webcrypto } from "node:crypto";
import { Holdfast } from "../../clients/js/holdfast.js";
import { World, eventually } from "./harness.mjs";
import { WebSocket as Stub } from "./websocket.mjs";

globalThis.crypto ??= webcrypto; // Node 18
const WebSocket = globalThis.WebSocket ?? Stub;

export class Client {
  constructor(t, url, options = {}, Socket = WebSocket) {
    this.urls = [];
    const { urls } = this;
    this.world = new World(class extends Socket {
      constructor(url, ...more) {
        super(url, ...more);
        urls.push(url);
      }
    });
    this.hf = new Holdfast(url, { env: this.world, ...options });
    for (const name of ["message", "open", "close", "missed", "state"]) {
      this[name] = [];
      this.hf.on(name, (...values) => this[name].push(values.length > 1 ? values : values[0]));
    }
    t.after(() => this.hf.close());
  }

  texts() { return this.message.map(([data]) => data); }
  opened(times = 1) { return eventually("open", () => this.open.length >= times && this.hf.state === "open"); }
  closed(times = 1) { return eventually("close", () => this.close.length >= times); }
  // What it waits for comes now.
  async again() {
    assert.equal(this.hf.state, "waiting");
    this.world.tick();
    await this.opened(this.open.length + 1);
  }
}

// A WebSocket without a server.
export class Silent {
  static all = [];
  readyState = 0;
  constructor() { Silent.all.push(this); }
  open(hello = { session: "s1", resumed: false, window: 60 }) {
    this.readyState = 1;
    this.onopen({});
    if (hello) this.onmessage({ data: JSON.stringify({ holdfast: hello }) });
  }
  end(code = 1006) {
    this.readyState = 3;
    this.onclose({ code, reason: "" });
  }
  close() { this.readyState = 3; }
}

export const turn = () => new Promise(resolve => setImmediate(resolve));

export async function silent(t, options = {}) {
  const client = new Client(t, "wss://gateway.example/ws?a=b", { transports: ["websocket"], ...options }, Silent);
  await turn();
  client.socket = () => Silent.all.at(-1);
  client.redial = async () => {
    assert.equal(client.hf.state, "waiting");
    client.world.tick();
    await turn();
  };
  return client;
}
