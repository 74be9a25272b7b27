// harness.mjs - what the tests of clients/js need around the client: a holdfastd, a proxy that cuts, a clock that stands still.
//
// HF_BUILD      directory of the build under test   (default build/test)
// HF_HOLDFASTD  the server                          (default HF_BUILD/master/holdfastd)

import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import net from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { fileURLToPath } from "node:url";

export const root = fileURLToPath(new URL("../..", import.meta.url));
const build = path.resolve(process.env.HF_BUILD ?? path.join(root, "build/test"));
const limit = Number(process.env.HF_TEST_TIMEOUT_MS ?? 20000);

// Asks until the answer is not empty; the only way these tests wait.
export async function eventually(what, ask) {
  for (const end = Date.now() + limit; Date.now() < end; await pause(10)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error("did not happen: " + what);
}

// A program with a directory of its own, ended by stop().
export class Program {
  constructor(prepare) {
    this.dir = mkdtempSync(path.join(tmpdir(), "hf-js-"));
    this.output = "";
    const [command, ...words] = prepare(this.dir);
    this.process = spawn(command, words);
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", bytes => (this.output += bytes));
    this.ended = once(this.process, "exit");
  }

  file(name) { return path.join(this.dir, name); }
  running() {
    if (this.process.exitCode !== null || this.process.signalCode) throw new Error("it ended:\n" + this.output);
    return true;
  }

  async stop() {
    this.process.kill("SIGTERM");
    const late = setTimeout(() => this.process.kill("SIGKILL"), limit);
    await this.ended;
    clearTimeout(late);
    rmSync(this.dir, { recursive: true });
  }
}

let gateways = 0;

// A holdfastd with an API and the tables that are given; @DIR@ in them is its directory.
export class Gateway extends Program {
  constructor(tables, files = {}) {
    super(dir => {
      for (const name in files) writeFileSync(path.join(dir, name), files[name]);
      writeFileSync(path.join(dir, "holdfast.toml"), `
[server]
instance = "js-${process.pid}-${++gateways}"
runtime_dir = "${dir}/run"
workers = 2
[limits]
max_sessions = 1000
[[api]]
address = "127.0.0.1:0"
protocol = "http"
` + tables.replaceAll("@DIR@", dir));
      return [process.env.HF_HOLDFASTD ?? path.join(build, "master/holdfastd"), "-c", path.join(dir, "holdfast.toml")];
    });
  }

  // The actual address of the listeners of a kind.
  address(kind) {
    const file = this.file("run/listeners");
    return eventually(kind + " listens", () => {
      const lines = this.running() && existsSync(file) ? readFileSync(file, "utf8").split("\n") : [];
      return lines.find(line => line.startsWith(kind + " 127.0.0.1:"))?.split(" ").at(-1);
    });
  }

  // One call of the push API.
  async post(call, body) {
    const answer = await fetch(`http://${await this.address("api http")}/v1/${call}`, { method: "POST", body: JSON.stringify(body) });
    return answer.json();
  }

  // The sum over the workers.
  async counter(name) {
    const text = await (await fetch(`http://${await this.address("api http")}/metrics`)).text();
    const lines = text.split("\n").filter(line => line.match(new RegExp(`^holdfast_${name}[ {]`)));
    if (!lines.length) throw new Error("no counter " + name);
    return lines.reduce((sum, line) => sum + Number(line.split(" ").at(-1)), 0);
  }
}

// Passes connections on. cut() breaks those there are, without a close frame; `refuse` takes no new one, or no upgrade.
export class Proxy {
  refuse = "nothing"; // or "all", "upgrades"

  constructor(target) {
    const [host, port] = target.split(":");
    this.sockets = new Set();
    this.server = net.createServer(client => {
      this.#keep(client);
      if (this.refuse === "all") return client.resetAndDestroy();
      client.once("data", head => {
        if (this.refuse === "upgrades" && /^upgrade:/im.test(head.toString("latin1"))) {
          return client.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        }
        const server = net.connect(port, host);
        this.#keep(server);
        server.write(head);
        server.pipe(client);
        client.pipe(server);
        client.on("close", () => server.destroy());
        server.on("close", () => client.destroy());
      });
    });
  }

  #keep(socket) {
    this.sockets.add(socket);
    socket.on("close", () => this.sockets.delete(socket));
    socket.on("error", () => {}); // its other half is destroyed, that is all
  }

  async listen() {
    await once(this.server.listen(0, "127.0.0.1"), "listening");
    return "127.0.0.1:" + this.server.address().port;
  }

  cut() {
    for (const socket of this.sockets) socket.resetAndDestroy();
  }

  stop() {
    this.server.close();
    this.cut();
  }
}

// What the client takes from the browser: time that passes only by tick(), dice that show `die`, events of the page.
export class World extends EventTarget {
  time = 1;
  die = 0.5;
  timer = null;
  delays = []; // of all timers, in order
  document = { hidden: false };
  navigator = { onLine: true };
  performance = { now: () => this.time };
  Math = { random: () => this.die };
  fetch = (...words) => fetch(...words);

  constructor(WebSocket) {
    super();
    this.WebSocket = WebSocket;
  }

  setTimeout = (call, ms) => {
    this.delays.push(ms);
    return (this.timer = { call, at: this.time + ms });
  };
  clearTimeout = timer => {
    if (timer && this.timer === timer) this.timer = null;
  };

  // To the time of the timer, and calls it.
  tick() {
    const { call, at } = this.timer;
    this.timer = null;
    this.time = at;
    call();
  }
}
