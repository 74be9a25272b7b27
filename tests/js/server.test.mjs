// clients/js against a real holdfastd, through a proxy that breaks its connections.

import assert from "node:assert/strict";
import { createHmac } from "node:crypto";
import { after, before, describe, test } from "node:test";
import { Client } from "./client.mjs";
import { Gateway, Proxy, eventually } from "./harness.mjs";
import { WebSocket } from "./websocket.mjs";

describe("a listener with resume", () => {
  let gateway, proxy, url;
  before(async () => {
    gateway = new Gateway(`
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
backend = "relay"
resume = "60s"
resume_buffer = "1 KiB"
`);
    proxy = new Proxy(await gateway.address("websocket"));
    url = `ws://${await proxy.listen()}/ws`;
  });
  after(async () => {
    proxy?.stop();
    await gateway?.stop();
  });
  const publish = async (channel, data) => assert.deepEqual(await gateway.post("publish", { channels: [channel], data }), { delivered: 1 });
  async function cut(client) {
    proxy.refuse = "all";
    proxy.cut();
    await client.closed(client.close.length + 1);
    await eventually("it is detached", () => gateway.counter("sessions_detached"));
    proxy.refuse = "nothing";
  }

  test("messages go both ways, text and binary", async t => {
    const client = new Client(t, url, { channels: ["both", "ways"] });
    assert.equal(client.hf.send("too early"), false);
    await client.opened();
    assert.deepEqual(client.open, [{ transport: "websocket", resumed: false, session: client.open[0].session, window: 60 }]);
    assert.equal(client.hf.send("text"), true);
    await eventually("its echoes", () => client.message.length === 2);
    client.hf.send(new Uint8Array([0, 255, 128]));
    await eventually("the bytes", () => client.message.length === 4);
    assert.deepEqual(client.texts().slice(0, 2), ["text", "text"]);
    assert.ok(client.texts()[2] instanceof ArrayBuffer);
    assert.deepEqual([...new Uint8Array(client.texts()[2])], [0, 255, 128]);
    assert.match(client.urls[0], /[?&]resume=[\w-]{21}[AQgw]$/);
  });

  test("a client that was cut off comes back without loss or double", async t => {
    const client = new Client(t, url, { channels: ["cut"] });
    await client.opened();
    const wanted = [];
    for (let round = 0; round < 3; ++round) {
      await publish("cut", "before " + round);
      await eventually("it came", () => client.message.length === wanted.length + 1);
      await cut(client);
      await publish("cut", "away " + round);
      await publish("cut", "and away " + round);
      wanted.push("before " + round, "away " + round, "and away " + round);
      await client.again();
      await eventually("all came", () => client.message.length >= wanted.length);
      assert.deepEqual(client.texts(), wanted);
    }
    assert.deepEqual(client.open.map(open => open.resumed), [false, true, true, true]);
    assert.equal(new Set(client.open.map(open => open.session)).size, 1);
    assert.deepEqual(client.close.map(close => [close.code, close.again]), [[1006, true], [1006, true], [1006, true]]);
    assert.deepEqual(client.missed, []);
  });

  test("one missed event says that the session is another", async t => {
    const client = new Client(t, url, { channels: ["gone"] });
    await client.opened();
    await publish("gone", "seen");
    await eventually("it came", () => client.message.length);
    await cut(client);
    await gateway.post("kick", { sessions: [client.open[0].session] });
    await eventually("it has ended", async () => !await gateway.counter("sessions_detached"));
    await client.again();
    assert.equal(client.open[1].resumed, false);
    await eventually("missed", () => client.missed.length);
    await publish("gone", "new");
    await eventually("it came", () => client.message.length > 1);
    // The count began anew with the session.
    await cut(client);
    await publish("gone", "newer");
    await client.again();
    await eventually("it came", () => client.message.length > 2);
    assert.deepEqual(client.texts(), ["seen", "new", "newer"]);
    assert.deepEqual(client.missed, [{}]);
    assert.equal(client.open[2].resumed, true);
  });

  test("so does one that has missed more than is kept", async t => {
    const client = new Client(t, url, { channels: ["much"] });
    await client.opened();
    await cut(client);
    for (let n = 0; n < 3; ++n) await gateway.post("publish", { channels: ["much"], data: "x".repeat(500) });
    await eventually("it has ended", async () => !await gateway.counter("sessions_detached"));
    await client.again();
    await eventually("missed", () => client.missed.length);
    assert.deepEqual(client.message, []);
  });

  test("the network is back: it takes over from its own connection", async t => {
    const client = new Client(t, url, { channels: ["over"] });
    await client.opened();
    const taken = await gateway.counter("resume_taken_over_total");
    client.world.dispatchEvent(new Event("online"));
    await publish("over", "on the old one, which is not heard any more");
    await client.again();
    await eventually("it came", () => client.message.length);
    assert.equal(client.open[1].resumed, true);
    assert.equal(await gateway.counter("resume_taken_over_total"), taken + 1);
    assert.equal(client.message.length, 1);
    assert.equal(client.hf.state, "open");
  });

  test("another that takes over sends it away for good", async t => {
    const client = new Client(t, url, { channels: ["thief"] });
    await client.opened();
    const other = new WebSocket(client.urls[0] + "&seen=0&session=" + client.open[0].session);
    await client.closed();
    assert.deepEqual(client.close.map(({ code, again }) => [code, again]), [[4409, false]]);
    assert.equal(client.hf.state, "closed");
    assert.equal(client.world.timer, null);
    other.close();
  });

  test("a kick ends it, unless the program says otherwise", async t => {
    const decide = code => code === 4001 || undefined;
    const [one, two] = [new Client(t, url, { channels: ["kick"] }), new Client(t, url, { channels: ["kick"], again: decide })];
    for (const client of [one, two]) {
      await client.opened();
      await gateway.post("kick", { sessions: [client.open[0].session], code: 4001, reason: "out" });
      await client.closed();
    }
    assert.deepEqual(one.close, [{ code: 4001, reason: "out", again: false }]);
    assert.deepEqual(two.close, [{ code: 4001, reason: "out", again: true }]);
    await two.again();
    await eventually("missed", () => two.missed.length);
  });

  test("close() says goodbye: the session does not wait", async t => {
    const client = new Client(t, url, { channels: ["bye"] });
    await client.opened();
    client.hf.close();
    await eventually("it has ended", async () => !await gateway.counter("sessions_online"));
    assert.equal(await gateway.counter("sessions_detached"), 0);
    assert.equal(client.world.timer, null);
    assert.equal(client.hf.state, "closed");
  });

  test("without resume a new session has missed something, too", async t => {
    const client = new Client(t, url, { channels: ["plain"], resume: false });
    await client.opened();
    assert.doesNotMatch(client.urls[0], /resume/);
    proxy.cut();
    await client.closed();
    await client.again();
    await eventually("missed", () => client.missed.length);
  });
});

describe("a listener with tokens", () => {
  const secret = "0123456789abcdef0123456789abcdef";
  let gateway, url;
  before(async () => {
    gateway = new Gateway(`
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
backend = "relay"
resume = "60s"
token = { algorithm = "HS256", key = "@DIR@/secret" }
`, { secret });
    url = "ws://" + await gateway.address("websocket") + "/ws";
  });
  after(() => gateway?.stop());
  function token(claims) {
    const text = [{ alg: "HS256" }, claims].map(part => Buffer.from(JSON.stringify(part)).toString("base64url")).join(".");
    return text + "." + createHmac("sha256", secret).update(text).digest("base64url");
  }

  test("each connection asks for its own", async t => {
    let asked = 0;
    const client = new Client(t, url, { transports: ["websocket"], token: async () => token({ sub: "u1", n: ++asked }) });
    await client.opened();
    assert.deepEqual((await gateway.post("send-user", { users: ["u1"], data: "hello" })).delivered, 1);
    await eventually("it came", () => client.message.length);
    client.world.dispatchEvent(new Event("online"));
    await client.again();
    assert.equal(asked, 2);
    assert.equal(client.open[1].resumed, true);
  });

  test("a token that has expired is replaced", async t => {
    let asked = 0;
    const client = new Client(t, url, { token: () => token({ sub: "u2", exp: Date.now() / 1e3 + (asked++ ? 3600 : 2) }) });
    await client.closed();
    assert.deepEqual(client.close[0], { code: 4401, reason: "token expired", again: true });
    await client.again();
    assert.equal(asked, 2);
  });

  test("one that was given as a text ends it", async t => {
    const client = new Client(t, url, { token: token({ sub: "u3", exp: Date.now() / 1e3 + 2 }) });
    await client.closed();
    assert.equal(client.close[0].again, false);
  });

  test("without one it pauses, and asks again", async t => {
    let asked = 0;
    const client = new Client(t, url, { token: async () => {
      if (!asked++) throw new Error("signed out");
      return token({ sub: "u4" });
    } });
    await client.closed();
    assert.deepEqual(client.close[0], { code: 0, reason: "Error: signed out", again: true });
    await client.again();
  });
});

describe("a listener with server-sent events", () => {
  let gateway, proxy, url;
  before(async () => {
    gateway = new Gateway(`
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
backend = "relay"
resume = "60s"
streams = ["sse"]
[[channel]]
pattern = "kept:*"
history_size = 5
history_ttl = "60s"
`);
    proxy = new Proxy(await gateway.address("websocket"));
    proxy.refuse = "upgrades";
    url = `ws://${await proxy.listen()}/ws`;
  });
  after(async () => {
    proxy?.stop();
    await gateway?.stop();
  });
  const publish = (channel, data) => gateway.post("publish", { channels: [channel], data });
  async function begin(t, channels) {
    const client = new Client(t, url, { channels });
    await client.closed(); // at the WebSocket
    client.world.tick();
    await client.opened();
    assert.equal(client.open[0].transport, "sse");
    return client;
  }
  async function cut(client) {
    proxy.cut();
    await client.closed(client.close.length + 1);
  }

  test("a proxy that lets no WebSocket through is got round, and nothing is missed where messages are kept", async t => {
    const client = await begin(t, ["kept:a", "kept:b"]);
    await publish("kept:a", "one\ntwo");
    await publish("kept:b", "other");
    await eventually("they came", () => client.message.length === 2);
    await cut(client);
    for (const text of ["three", "four"]) await publish("kept:a", text);
    await client.again();
    await eventually("all came", () => client.message.length === 4);
    await publish("kept:b", "last");
    await eventually("it came", () => client.message.length === 5);
    assert.deepEqual(client.message.map(([text, { channel }]) => channel + " " + text),
      ["kept:a one\ntwo", "kept:b other", "kept:a three", "kept:a four", "kept:b last"]);
    assert.deepEqual(client.message.map(([, { position }]) => position.split(":")[1]), ["1", "1", "2", "3", "2"]);
    assert.deepEqual(client.missed, []);
  });

  test("what is kept no longer is one missed event", async t => {
    const client = await begin(t, ["kept:much"]);
    await publish("kept:much", "seen");
    await eventually("it came", () => client.message.length);
    await cut(client);
    for (let n = 0; n < 9; ++n) await publish("kept:much", "away");
    await client.again();
    await eventually("missed", () => client.missed.length);
    await publish("kept:much", "new");
    await eventually("it came", () => client.message.length === 2);
    assert.deepEqual(client.texts(), ["seen", "new"]);
    assert.deepEqual(client.missed.map(({ channel }) => channel), ["kept:much"]);
  });

  test("a kick ends it", async t => {
    const client = await begin(t, ["kicked"]);
    await gateway.post("kick", { channels: ["kicked"], code: 4002, reason: "out" });
    await client.closed(2);
    assert.deepEqual(client.close[1], { code: 4002, reason: "out", again: false });
  });
});
