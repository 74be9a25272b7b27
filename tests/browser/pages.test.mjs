// The two example pages in a real browser, against a real holdfastd and, for the chat, a real php-fpm.
//
// HF_BUILD       directory of the build under test    (default build/test)
// HF_ARTIFACTS   where the screenshots are kept       (default HF_BUILD/artifacts)
// HF_CHROMIUM    the browser                          (default /usr/bin/chromium)

import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { chromium } from "playwright-core";

const root = path.resolve(import.meta.dirname ?? path.dirname(new URL(import.meta.url).pathname), "../..");
const build = process.env.HF_BUILD ?? path.join(root, "build/test");
const artifacts = process.env.HF_ARTIFACTS ?? path.join(build, "artifacts");
const limit = Number(process.env.HF_TEST_TIMEOUT_MS ?? 20000);

// Asks until the answer is not empty; the only way these tests wait for a process.
async function eventually(what, ask) {
  for (const end = Date.now() + limit; Date.now() < end; await pause(25)) {
    const answer = await ask();
    if (answer) return answer;
  }
  throw new Error("did not happen: " + what);
}

// A server in a process group of its own, with a directory of its own.
class Server {
  constructor(command, environment = {}) {
    this.output = "";
    this.process = spawn(command[0], command.slice(1), { cwd: root, detached: true, env: { ...process.env, ...environment } });
    for (const stream of [this.process.stdout, this.process.stderr]) stream.on("data", bytes => (this.output += bytes));
    this.ended = once(this.process, "exit");
  }

  // The actual address of the first line of RUNTIME_DIR/listeners that starts so.
  address(runtime, kind) {
    const file = path.join(runtime, "listeners");
    return eventually(kind + " listens\n" + this.output, () => {
      if (this.process.exitCode !== null) throw new Error("server ended:\n" + this.output);
      const line = existsSync(file) && readFileSync(file, "utf8").split("\n").find(l => l.startsWith(kind + " 127.0.0.1:"));
      return line && line.split(" ").at(-1);
    });
  }

  async stop() {
    if (this.process.exitCode === null && this.process.signalCode === null) process.kill(this.process.pid, "SIGTERM");
    const late = setTimeout(() => process.kill(-this.process.pid, "SIGKILL"), limit);
    await this.ended;
    clearTimeout(late);
  }
}

let browser;
before(async () => {
  mkdirSync(artifacts, { recursive: true });
  browser = await chromium.launch({
    executablePath: process.env.HF_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
});
after(() => browser?.close());

async function open(address, query = "") {
  const context = await browser.newContext({ viewport: { width: 860, height: 520 } });
  const page = await context.newPage();
  page.setDefaultTimeout(limit);
  await page.goto(`http://${address}/${query}`);
  return page;
}

// One call of the push API.
async function push(api, call, body) {
  const answer = await fetch(`http://${api}/v1/${call}`, { method: "POST", body: JSON.stringify(body) });
  return answer.json();
}

describe("relay page", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "hf-browser-"));
  let server, web, api;
  before(async () => {
    writeFileSync(path.join(dir, "relay.toml"), `
[server]
instance = "browser-relay-${process.pid}"
runtime_dir = "${dir}/run"
workers = 2
[limits]
max_sessions = 1000
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
page = "${root}/examples/relay/index.html"
backend = "relay"
streams = ["sse"]
permessage_deflate = { min_size = "1 B" }
[[api]]
address = "127.0.0.1:0"
protocol = "http"
`);
    server = new Server([path.join(build, "master/holdfastd"), "-c", path.join(dir, "relay.toml")]);
    web = await server.address(path.join(dir, "run"), "websocket");
    api = await server.address(path.join(dir, "run"), "api http");
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });
  const post = (call, body) => push(api, call, body);

  test("an EventSource hears what is published, comes back after an end, and stays away after a kick", async () => {
    const page = await open(web);
    await page.evaluate(() => {
      window.heard = [];
      const source = new EventSource("/ws?channel=news");
      source.onmessage = event => heard.push(event.data);
      source.addEventListener("holdfast.closed", event => {
        const { code } = JSON.parse(event.data);
        heard.push(code);
        if (code === 4000) source.close();
      });
    });
    const publish = data => post("publish", { channels: ["news"], data });
    const reaches = data => eventually(data, async () => (await publish(data)).delivered === 1);
    await reaches("two\nlines");
    await page.waitForFunction(() => heard.at(-1) === "two\nlines");
    await post("kick", { channels: ["news"], code: 3000 });
    await page.waitForFunction(() => heard.at(-1) === 3000);
    await reaches("back");
    await page.waitForFunction(() => heard.at(-1) === "back");
    await post("kick", { channels: ["news"] });
    await page.waitForFunction(() => heard.at(-1) === 4000);
    assert.equal((await publish("nobody")).delivered, 0);
  });

  test("passes a message between two pages and shows what a program pushed", async () => {
    const [ann, bob] = [await open(web), await open(web)];
    for (const page of [ann, bob]) await page.locator("#status.on").waitFor();
    await ann.locator("#name").fill("Ann");
    await ann.locator("#text").fill("hello <b>Bob</b>");
    await ann.locator("button").click();
    await bob.locator("#log li", { hasText: "hello <b>Bob</b>" }).waitFor();
    assert.deepEqual(await post("publish", { channels: ["lobby"], data: "from a program" }), { delivered: 2 });
    for (const page of [ann, bob]) await page.locator("#log li.outside", { hasText: "from a program" }).waitFor();
    await bob.screenshot({ path: path.join(artifacts, "relay.png") });
    for (const page of [ann, bob]) await page.context().close();
  });

  test("speaks permessage-deflate with the browser, both ways", async () => {
    const page = await open(web);
    const text = "said again and again, ".repeat(500);
    const heard = await page.evaluate(text => new Promise((resolve, reject) => {
      const socket = new WebSocket(`ws://${location.host}/ws?channel=deflate`);
      socket.onopen = () => socket.send(text);
      socket.onmessage = ({ data }) => resolve({ extensions: socket.extensions, data });
      socket.onclose = ({ code }) => reject(new Error("closed " + code));
    }), text);
    assert.equal(heard.extensions, "permessage-deflate; server_no_context_takeover; client_no_context_takeover");
    assert.equal(heard.data, text);
    const metrics = await (await fetch(`http://${api}/metrics`)).text();
    const sum = name => metrics.split("\n").filter(l => l.startsWith(`holdfast_${name}_total`)).reduce((n, l) => n + Number(l.split(" ").at(-1)), 0);
    assert.ok(sum("ws_inflated_to") - sum("ws_inflated_from") > text.length / 2, "it came deflated");
    assert.ok(sum("ws_deflated_from") - sum("ws_deflated_to") > text.length / 2, "it went deflated");
    await page.context().close();
  });

  test("comes back by itself after its connection was closed", async () => {
    const page = await open(web, "?channel=return");
    await page.locator("#status.on").waitFor();
    const again = page.waitForEvent("websocket");
    const kicked = await post("kick", { channels: ["return"], code: 4001 });
    assert.equal(kicked.delivered, 1);
    await again;
    await page.locator("#status.on").waitFor();
    assert.deepEqual(await post("publish", { channels: ["return"], data: "welcome back" }), { delivered: 1 });
    await page.locator("#log li.outside", { hasText: "welcome back" }).waitFor();
    await page.context().close();
  });
});

describe("chat through php-fpm", () => {
  const dir = mkdtempSync(path.join(tmpdir(), "hf-browser-"));
  let server, web, api;
  before(async () => {
    server = new Server(["bash", "examples/chat/start.sh", build, dir],
      { HF_CHAT_PORT: "0", HF_CHAT_API: "0", HF_CHAT_INSTANCE: "browser-chat-" + process.pid });
    web = await server.address(path.join(dir, "run"), "websocket");
    api = await server.address(path.join(dir, "run"), "api http");
  });
  after(async () => {
    await server.stop();
    rmSync(dir, { recursive: true });
  });

  async function enter(name, room = "lobby") {
    const page = await open(web);
    await page.locator("#name").fill(name);
    await page.locator("#room").fill(room);
    await page.locator("#door button").click();
    return page;
  }
  const say = async (page, text) => {
    await page.locator("#text").fill(text);
    await page.locator("#say button").click();
  };
  const sees = (page, text) => page.locator("#log li", { hasText: text }).first().waitFor();

  test("a message goes from one page through PHP to the other, with notices and history", async () => {
    const ann = await enter("Ann");
    await sees(ann, "Ann came in");
    const bob = await enter("Jörg Müller");
    await sees(ann, "Jörg Müller came in");
    await say(ann, "hello through php-fpm");
    await sees(bob, "hello through php-fpm");
    await say(bob, "and back again");
    await sees(ann, "and back again");
    await bob.screenshot({ path: path.join(artifacts, "chat.png") });

    const late = await enter("Cleo");
    await sees(late, "hello through php-fpm");
    assert.deepEqual(await late.locator("#members li").allTextContents(), ["Ann", "Cleo", "Jörg Müller"]);
    await bob.context().close();
    await sees(ann, "Jörg Müller left");
    for (const page of [ann, late]) await page.context().close();
  });

  test("a room is heard in that room only, /all everywhere", async () => {
    const [red, blue] = [await enter("Rita", "red"), await enter("Bert", "blue")];
    await sees(red, "Rita came in");
    await sees(blue, "Bert came in");
    await say(red, "only for red");
    await sees(red, "only for red");
    await say(red, "/all for everybody");
    await sees(blue, "for everybody");
    assert.equal(await blue.locator("#log li", { hasText: "only for red" }).count(), 0);
    for (const page of [red, blue]) await page.context().close();
  });

  test("a page that was disconnected comes back into its room, with the history", async () => {
    const page = await enter("Rosa", "back");
    await say(page, "said before");
    await sees(page, "said before");
    const again = page.waitForEvent("websocket");
    await push(api, "kick", { channels: ["room:back"], code: 4001, reason: "just a test" });
    await again;
    await page.locator("#status.on").waitFor();
    await sees(page, "said before");
    await say(page, "said after");
    await sees(page, "said after");
    await page.context().close();
  });

  test("PHP refuses a name it does not like", async () => {
    const page = await enter("<script>");
    await page.locator("#why", { hasText: "Not let in" }).waitFor();
    await page.context().close();
  });

  test("a program's push reaches a room", async () => {
    const page = await enter("Dora", "news");
    await sees(page, "Dora came in");
    assert.deepEqual(await push(api, "publish", { channels: ["room:news"], data: "breaking" }), { delivered: 1 });
    await sees(page, "breaking");
    await page.context().close();
  });
});
