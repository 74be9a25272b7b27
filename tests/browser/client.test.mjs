// clients/js in a page of a real browser, whose network goes away for a while: a real holdfastd, a real php-fpm.
//
// HF_BUILD, HF_HOLDFASTD as in tests/js/harness.mjs, HF_CHROMIUM as in pages.test.mjs.

import assert from "node:assert/strict";
import { once } from "node:events";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import http from "node:http";
import path from "node:path";
import { after, before, test } from "node:test";
import { chromium } from "playwright-core";
import { Gateway, Program, Proxy, eventually, root } from "../js/harness.mjs";

const application = `<?php
$event = $_SERVER['HOLDFAST_EVENT'];
file_put_contents(__DIR__ . '/events', "$event\\n", FILE_APPEND | LOCK_EX);
if ($event === 'connect') header('Holdfast-Join: room');
if ($event === 'message') echo 'heard: ', file_get_contents('php://input');
`;

let fpm, gateway, proxy, web, browser, page;
before(async () => {
  fpm = new Program(dir => {
    writeFileSync(path.join(dir, "app.php"), application);
    writeFileSync(path.join(dir, "fpm.conf"), `
[global]
error_log = ${dir}/fpm.log
daemonize = no
[app]
listen = ${dir}/php.sock
pm = static
pm.max_children = 2
${process.getuid() ? "" : "user = root\ngroup = root"}
`);
    return ["php-fpm8.2", "-n", "-F", "-O", "-R", "-y", path.join(dir, "fpm.conf")];
  });
  await eventually("php-fpm listens", () => fpm.running() && existsSync(fpm.file("php.sock")));
  web = http.createServer((request, response) => {
    const module = request.url === "/holdfast.js";
    response.setHeader("content-type", module ? "text/javascript" : "text/html");
    response.end(module ? readFileSync(root + "clients/js/holdfast.js") : "<!doctype html><title>client</title>");
  });
  await once(web.listen(0, "127.0.0.1"), "listening");
  const origin = `http://127.0.0.1:${web.address().port}`;
  gateway = new Gateway(`
[[listen]]
address = "127.0.0.1:0"
path = "/ws"
backend = "app"
origins = ["${origin}"]
resume = "60s"
[backend.app]
kind = "fastcgi"
servers = [{ address = "unix:${fpm.file("php.sock")}" }]
script_filename = "${fpm.file("app.php")}"
max_connections = 2
events = ["connect", "close"]
`);
  proxy = new Proxy(await gateway.address("websocket"));
  browser = await chromium.launch({
    executablePath: process.env.HF_CHROMIUM ?? "/usr/bin/chromium",
    args: ["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
      "--disable-background-networking", "--disable-component-update", "--disable-sync"],
  });
  page = await browser.newPage();
  await page.goto(origin);
});
after(async () => {
  await browser?.close();
  web?.close();
  proxy?.stop();
  await gateway?.stop();
  await fpm?.stop();
});

const events = () => readFileSync(fpm.file("events"), "utf8").split("\n").slice(0, -1);
const publish = async data => assert.deepEqual(await gateway.post("publish", { channels: ["room"], data }), { delivered: 1 });

test("a page that was offline has all messages, in order, once, and the application heard nothing", async () => {
  await page.evaluate(async url => {
    const { Holdfast } = await import("/holdfast.js");
    window.seen = { texts: [], opened: [], missed: 0, signals: [] };
    for (const name of ["offline", "online"]) addEventListener(name, () => seen.signals.push(name));
    window.hf = new Holdfast(url);
    hf.on("message", data => seen.texts.push(data));
    hf.on("open", ({ resumed }) => seen.opened.push(resumed));
    hf.on("missed", () => ++seen.missed);
  }, `ws://${await proxy.listen()}/ws`);
  const state = () => page.evaluate(() => hf.state);
  const texts = () => page.evaluate(() => seen.texts);
  await eventually("it is open", async () => await state() === "open");
  await publish("before");
  await eventually("it came", async () => (await texts()).length === 1);

  await page.context().setOffline(true);
  proxy.refuse = "all"; // what Chromium's emulation does to sockets that are open is nothing
  proxy.cut();
  await eventually("the session is detached", () => gateway.counter("sessions_detached"));
  const sent = Array.from({ length: 10 }, (_, n) => "away " + n);
  for (const text of sent) await publish(text);
  assert.notEqual(await state(), "open");
  proxy.refuse = "nothing";
  await page.context().setOffline(false);

  await eventually("all came", async () => (await texts()).length > 10);
  await page.evaluate(() => hf.send("still there"));
  await eventually("an answer came", async () => (await texts()).length > 11);
  assert.deepEqual(await page.evaluate(() => seen), {
    texts: ["before", ...sent, "heard: still there"], opened: [false, true], missed: 0, signals: ["offline", "online"],
  });
  assert.deepEqual(events(), ["connect", "message"]);
  await page.evaluate(() => hf.close());
  await eventually("the application hears of the end", () => events().length > 2);
  assert.deepEqual(events(), ["connect", "message", "close"]);
});
