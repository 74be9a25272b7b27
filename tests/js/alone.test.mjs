// clients/js without a holdfastd: back-off, deadlines and close codes by a clock that stands still, and a server of the test's own.

import assert from "node:assert/strict";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import http from "node:http";
import { after, before, describe, test } from "node:test";
import { gzipSync } from "node:zlib";
import { Client, Silent, silent, turn } from "./client.mjs";
import { eventually, root } from "./harness.mjs";

test("the module has 3 kB at most, and the version of the project", () => {
  assert.ok(gzipSync(readFileSync(root + "clients/js/holdfast.js"), { level: 9 }).length <= 3000);
  const { version } = JSON.parse(readFileSync(root + "clients/js/package.json", "utf8"));
  assert.equal(version, /version: '(.*)'/.exec(readFileSync(root + "meson.build", "utf8"))[1]);
});

test("the back-off doubles, has full jitter and is bounded", async t => {
  const client = await silent(t);
  assert.match(client.urls[0], /^wss:\/\/gateway\.example\/ws\?a=b&resume=/);
  client.world.delays = [];
  for (let n = 0; n < 9; ++n) {
    client.world.die = n % 2 ? 1 : 0.25;
    client.socket().end();
    await client.redial();
  }
  const pauses = client.world.delays.filter(ms => ms !== 10000); // the other timers are first-message deadlines
  assert.deepEqual(pauses, [125, 1000, 500, 4000, 2000, 16000, 7500, 30000, 7500]);
});

test("it is small again only after 10 seconds of health", async t => {
  const client = await silent(t);
  client.world.die = 1;
  const pauseAfter = async healthy => {
    client.socket().open();
    client.world.time += healthy;
    client.socket().end();
    const ms = client.world.delays.at(-1);
    await client.redial();
    return ms;
  };
  assert.deepEqual([await pauseAfter(9999), await pauseAfter(9999), await pauseAfter(10000), await pauseAfter(0)], [500, 1000, 500, 1000]);
});

test("a page that is looked at again does not wait out its pause", async t => {
  const client = await silent(t);
  client.world.die = 1;
  for (let n = 0; n < 5; ++n) {
    client.socket().end();
    if (n < 4) await client.redial();
  }
  assert.equal(client.world.delays.at(-1), 8000);
  client.world.document.hidden = true;
  client.world.dispatchEvent(new Event("visibilitychange"));
  assert.equal(client.world.delays.at(-1), 8000);
  client.world.document.hidden = false;
  for (const name of ["visibilitychange", "pageshow", "online"]) {
    client.world.delays.push(0);
    client.world.dispatchEvent(new Event(name));
    assert.equal(client.world.delays.at(-1), 500);
  }
});

test("silence ends a connection, without a close frame", async t => {
  const client = await silent(t, { silence: 1000 });
  client.socket().open();
  client.world.time += 900;
  client.socket().onmessage({ data: "a sign of life" });
  client.world.time += 100;
  client.world.tick();
  assert.equal(client.hf.state, "open");
  client.world.tick();
  const old = client.socket();
  assert.deepEqual([client.hf.state, old.readyState], ["waiting", 1]);
  old.onmessage({ data: "too late" });
  await client.redial();
  assert.match(client.urls[1], /[?&]seen=1&session=s1&/);
  client.socket().open({ session: "s1", resumed: true, window: 60 });
  await turn();
  assert.deepEqual([old.readyState, client.texts(), client.missed], [3, ["a sign of life"], []]);
});

test("a page that sleeps finds out when it wakes up", async t => {
  const client = await silent(t, { silence: 1000 });
  client.socket().open();
  client.world.time += 5000; // timers stood still
  client.world.dispatchEvent(new Event("pageshow"));
  assert.equal(client.hf.state, "waiting");
});

test("a session that cannot be resumed gives its key up", async t => {
  const client = await silent(t);
  client.socket().open({ session: "s1", resumed: false, window: 0 });
  client.socket().end();
  await client.redial();
  const [one, two] = client.urls.map(url => new URL(url).searchParams);
  assert.notEqual(one.get("resume"), two.get("resume"));
  assert.deepEqual([two.get("seen"), two.get("session")], [null, null]);
  client.socket().open({ session: "s2", resumed: false, window: 60 });
  await turn();
  assert.deepEqual(client.missed, [{}]);
});

test("codes say whether coming back helps", async t => {
  for (const [code, again] of [[1001, true], [1005, true], [1006, true], [1008, true], [1009, true], [1011, true], [1012, true], [1013, true],
    [1000, false], [1002, false], [1007, false], [4000, false], [4401, false], [4409, false], [3000, false], [4999, false]]) {
    const client = await silent(t);
    client.socket().open();
    client.socket().end(code);
    await turn();
    assert.deepEqual(client.close, [{ code, reason: "", again }]);
  }
});

test("a listener that knows no resume is served, too", async t => {
  const client = await silent(t);
  client.socket().open(null);
  client.socket().onmessage({ data: "first" });
  await turn();
  assert.deepEqual([client.texts(), client.open[0].transport, client.open[0].window], [["first"], "websocket", undefined]);
});

test("a transport that has worked gives way after five failures, and what was known of its session goes", async t => {
  const client = await silent(t, { transports: ["websocket", "sse"] });
  const posts = [];
  client.world.fetch = async (url, { body }) => {
    posts.push(body);
    if (posts.length % 5 !== 1) throw new Error("down");
    return new Response("retry: 100\nid: e:1\n\n", { headers: { "content-type": "text/event-stream" } }); // and its end
  };
  const parameters = () => new URL(client.urls.at(-1)).searchParams;
  client.socket().open();
  client.socket().onmessage({ data: "one" });
  client.world.time += 10000;
  client.socket().end();
  for (let n = 0; n < 4; ++n) {
    await client.redial();
    assert.deepEqual([client.urls.length, parameters().get("seen"), posts.length], [n + 2, "1", 0]);
    client.socket().end();
  }
  const key = parameters().get("resume");
  await client.redial();
  await eventually("the stream has ended", () => client.open.length === 2 && client.hf.state === "waiting");
  assert.deepEqual([posts.length, posts[0].get("since"), client.missed], [1, null, [{}]]);

  while (client.urls.length < 6) {
    await client.redial();
    await turn();
  }
  assert.equal(posts.at(-1).get("since"), "e:1");
  assert.notEqual(parameters().get("resume"), key);
  assert.equal(parameters().get("seen"), null);
  client.socket().open({ session: "s2", resumed: false, window: 60 });
  client.world.time += 10000;
  client.socket().end();
  await turn();
  assert.deepEqual([client.missed.length, client.world.delays.at(-1)], [2, 250]); // without the stream's pause
  const before = posts.length;
  while (posts.length === before) {
    client.socket().readyState < 2 && client.hf.state === "connecting" ? client.socket().end() : await client.redial();
  }
  assert.equal(posts.at(-1).get("since"), null);
});

// Server-sent events, as the manual describes them, from a server that does what the test says.
describe("server-sent events", () => {
  let server, url, requests, answers;
  before(async () => {
    server = http.createServer(async (request, response) => {
      let body = "";
      for await (const bytes of request) body += bytes;
      requests.push({ method: request.method, url: request.url, accept: request.headers.accept, body: new URLSearchParams(body) });
      answers.push(response);
    });
    server.on("upgrade", (_, socket) => socket.end("HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"));
    await once(server.listen(0, "127.0.0.1"), "listening");
    url = `http://127.0.0.1:${server.address().port}/ws?a=b`;
  });
  after(() => {
    server.closeAllConnections();
    server.close();
  });
  async function begin(t, options) {
    [requests, answers] = [[], []];
    const client = new Client(t, url, options);
    client.request = number => eventually("request", () => answers[number - 1]);
    return client;
  }
  const stream = response => response.writeHead(200, { "content-type": "text/event-stream; charset=utf-8" });

  test("follow when an upgrade is refused, with channel and position", async t => {
    const client = await begin(t, { channels: ["news", "alerts"], token: async () => "t1" });
    await client.closed(); // at the WebSocket, which is followed at once
    assert.equal(client.world.delays.at(-1), 0);
    client.world.tick();
    const response = await client.request(1);
    const { method, url, accept, body } = requests[0];
    assert.deepEqual([method, url, accept, body.getAll("channel"), body.get("token"), body.get("names")],
      ["POST", "/ws?a=b", "text/event-stream", ["news", "alerts"], "t1", "channel"]);
    stream(response).write("retry: 3000\nid: news=e:1&alerts=f:1\n\n: comment\n\nevent: news\ndata: one\ndata:\ndata:  three: \u00e4\n");
    await client.opened();
    response.write("id: news=e:2&alerts=f:1\n\nevent: holdfast.binary\ndata: AP+A\n\ndata: to you\n\nevent: holdfast.recovered\ndata: {}\n\n"
      + 'event: holdfast.missed\ndata: {"channel":"alerts","position":null}\n\n');
    await eventually("all came", () => client.missed.length);
    assert.deepEqual(client.message[0], ["one\n\n three: \u00e4", { channel: "news", position: "e:2" }]);
    assert.deepEqual([...new Uint8Array(client.message[1][0])], [0, 255, 128]);
    assert.deepEqual(client.message[2], ["to you", { channel: undefined, position: undefined }]);
    assert.deepEqual(client.missed, [{ channel: "alerts", position: null }]);
    assert.equal(client.hf.send("no way up"), false);

    client.world.die = 1;
    response.end();
    await client.closed(2);
    assert.equal(client.world.delays.at(-1), 3000 + 1000); // the server's word, and the jitter
    client.world.tick();
    stream(await client.request(2)).write("retry: 1\n\n");
    await client.opened(2);
    assert.equal(requests[1].body.get("since"), "news=e:2&alerts=f:1");
    assert.deepEqual([client.open[1].resumed, client.missed.length], [true, 1]);
  });

  test("without a position, a new stream has missed something", async t => {
    const client = await begin(t, { transports: ["sse"] });
    for (let n = 1; n < 3; ++n) {
      const response = await client.request(n);
      stream(response).write(": begin\n\n");
      await client.opened(n);
      if (n === 1) {
        response.destroy();
        await client.closed();
        client.world.tick();
      }
    }
    await eventually("missed", () => client.missed.length);
    assert.deepEqual(client.missed, [{}]);
  });

  test("a comment is a sign of life", async t => {
    const client = await begin(t, { transports: ["sse"] });
    const response = await client.request(1);
    stream(response).write(": begin\n\n");
    await client.opened();
    client.world.time += 74000;
    response.write(": ping\n\ndata: it was read\n\n");
    await eventually("it came", () => client.message.length);
    client.world.tick(); // 75 s after the beginning
    assert.equal(client.hf.state, "open");
    client.world.tick(); // 75 s after the comment
    assert.equal(client.hf.state, "waiting");
  });

  test("holdfast.closed ends it", async t => {
    const client = await begin(t, { transports: ["sse"] });
    stream(await client.request(1)).write('event: holdfast.closed\ndata: {"code":4000,"reason":"kicked"}\n\n');
    await client.closed();
    assert.deepEqual(client.close, [{ code: 4000, reason: "kicked", again: false }]);
    assert.equal(client.hf.state, "closed");
  });

  test("Retry-After is heeded", async t => {
    const client = await begin(t, { transports: ["sse"] });
    (await client.request(1)).writeHead(503, { "retry-after": "7" }).end();
    await client.closed();
    assert.deepEqual(client.close, [{ code: 503, reason: "refused", again: true }]);
    assert.equal(client.world.delays.at(-1), 7250);
  });

  test("no first message: the next transport", async t => {
    const client = await begin(t, {});
    client.world.WebSocket = Silent;
    await client.closed();
    client.hf.close();
    const late = await silent(t, { transports: ["websocket", "sse"] });
    late.world.fetch = () => new Promise(() => {});
    late.socket().open(null); // the hand-shake, and nothing after it
    late.world.tick();
    await turn();
    assert.deepEqual([late.close[0].reason, late.world.delays.at(-1)], ["no first message", 0]);
    late.world.tick();
    await turn();
    late.world.tick();
    await turn();
    assert.deepEqual([late.close.length, late.hf.state], [2, "waiting"]);
    await late.redial();
    assert.equal(late.urls.length, 2); // the first one again
  });
});
