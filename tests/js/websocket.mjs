// websocket.mjs - as much of a browser's WebSocket as clients/js needs, for a Node without one. Server frames are whole messages,
// unless they are continued; no extensions.

import { createHash, randomBytes } from "node:crypto";
import http from "node:http";

const proof = key => createHash("sha1").update(key + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest("base64");

export class WebSocket {
  readyState = 0;
  #socket;
  #bytes = Buffer.alloc(0);
  #parts = [];
  #close = { code: 1006, reason: "" };

  constructor(url) {
    const key = randomBytes(16).toString("base64");
    const headers = { Connection: "Upgrade", Upgrade: "websocket", "Sec-WebSocket-Version": 13, "Sec-WebSocket-Key": key };
    this.request = http.request(url.replace(/^ws/, "http"), { headers, agent: false });
    this.request.on("upgrade", (answer, socket, head) => {
      if (answer.headers["sec-websocket-accept"] !== proof(key)) return socket.destroy();
      this.#socket = socket;
      this.readyState = 1;
      this.onopen?.({});
      socket.on("error", () => {}); // the close that follows says it
      socket.on("data", bytes => this.#take(bytes));
      socket.on("end", () => socket.end());
      socket.on("close", () => this.#end());
      this.#take(head);
    });
    this.request.on("response", answer => {
      answer.destroy();
      this.#end();
    });
    this.request.on("error", () => this.#end());
    this.request.end();
  }

  send(data) {
    const text = typeof data === "string";
    this.#frame(text ? 1 : 2, Buffer.from(data));
  }

  close(code = 1000) {
    if (this.readyState === 0) this.request.destroy(); // with an error, which ends it
    if (this.readyState !== 1) return;
    this.readyState = 2;
    this.#frame(8, Buffer.from([code >> 8, code & 255]));
  }

  #end() {
    if (this.readyState === 3) return;
    this.readyState = 3;
    this.onclose?.(this.#close);
  }

  #frame(opcode, data) {
    const length = data.length < 126 ? [data.length | 128] : [126 | 128, data.length >> 8, data.length & 255];
    const mask = randomBytes(4);
    this.#socket.write(Buffer.concat([Buffer.from([opcode | 128, ...length]), mask, data.map((byte, i) => byte ^ mask[i & 3])]));
  }

  #take(bytes) {
    this.#bytes = Buffer.concat([this.#bytes, bytes]);
    for (;;) {
      const all = this.#bytes;
      let begin = 2, length = all[1] & 127;
      if (length === 126) begin = 4;
      if (length === 127) begin = 10;
      if (all.length < begin) return;
      if (begin === 4) length = all.readUInt16BE(2);
      if (begin === 10) length = Number(all.readBigUInt64BE(2));
      if (all.length < begin + length) return;
      this.#bytes = all.subarray(begin + length);
      this.#frameCame(all[0] & 128, all[0] & 15, all.subarray(begin, begin + length));
    }
  }

  #frameCame(last, opcode, data) {
    if (opcode === 9) return this.#frame(10, data);
    if (opcode === 8) {
      this.#close = data.length ? { code: data.readUInt16BE(0), reason: data.toString("utf8", 2) } : { code: 1005, reason: "" };
      if (this.readyState === 1) this.#frame(8, data);
      this.readyState = 2;
      return this.#socket.end();
    }
    if (opcode === 10) return;
    if (opcode) this.#parts = [opcode];
    this.#parts.push(data);
    if (!last) return;
    const [kind, ...parts] = this.#parts;
    const whole = Buffer.concat(parts);
    this.onmessage?.({ data: kind === 1 ? whole.toString() : new Uint8Array(whole).buffer });
  }
}
