// holdfast.js - a client of a Holdfast listener that comes back by itself. Contract: README.md.
//
// A link is an attempt to connect and its connection; what an earlier one reports is ignored.

const newKey = () => btoa(String.fromCharCode(...crypto.getRandomValues(new Uint8Array(16))))
  .replace(/\+/g, "-").replace(/\//g, "_").slice(0, 22);
const final = code => /^(204|100[0237]|1010|[34]...)$/.test(code);

export class Holdfast {
  constructor(url, {
    channels = [], token, resume = true, transports = ["websocket", "sse"], protocols, again: decide,
    firstMessage = 1e4, silence, minDelay = 500, maxDelay = 3e4, healthy = 1e4, env = globalThis,
  } = {}) {
    const base = new URL(url, env.location?.href);
    const listeners = {};
    const left = []; // sockets whose close frame would end the session
    let link, timer, key, session, id;
    let way = 0, worked; // transports: the present, the last that was open
    let failures = 0, seen = 0, pause = 0;

    const now = () => env.performance.now();
    const emit = (name, ...values) => listeners[name]?.forEach(listener => queueMicrotask(() => listener(...values)));
    const become = state => {
      if (this.state !== state) emit("state", this.state = state);
    };
    const later = (call, ms) => {
      env.clearTimeout(timer);
      timer = env.setTimeout(call, ms);
    };
    const address = scheme => base.href.replace(/^(http|ws)/, scheme);
    const leave = () => left.splice(0).forEach(socket => socket.close());
    const forget = () => {
      key = session = undefined;
      seen = 0;
    };

    const dial = async () => {
      const mine = link = { drop() {} };
      later(() => lost(mine, 0, "no first message"), firstMessage);
      become("connecting");
      try {
        const query = new URLSearchParams(channels.map(channel => ["channel", channel]));
        const word = typeof token === "function" ? await token() : token;
        if (link !== mine) return;
        if (word) query.set("token", word);
        mine.dialled = true;
        await (transports[way] === "sse" ? stream : socket)(mine, query);
      } catch (error) {
        lost(mine, 0, String(error));
      }
    };

    const socket = (mine, query) => {
      let first = resume;
      if (resume) {
        if (key) query.set("seen", seen);
        if (session) query.set("session", session);
        query.set("resume", key ??= newKey());
      }
      const ws = mine.ws = new env.WebSocket(address("ws") + (base.search ? "&" : "?") + query, protocols);
      ws.binaryType = "arraybuffer";
      mine.drop = goodbye => goodbye || !ws.readyState ? ws.close() : left.push(ws);
      ws.onopen = () => resume || ready(mine);
      ws.onmessage = ({ data }) => {
        if (link !== mine) return;
        mine.heard = now();
        if (first) {
          first = false;
          const hello = /^{"holdfast":{/.test(data) && JSON.parse(data).holdfast;
          if (!hello.resumed) seen = 0;
          session = hello.session;
          if (!hello.window) forget();
          ready(mine, hello);
          if (hello) return;
        }
        seen++;
        emit("message", data, {});
      };
      ws.onerror = ws.onclose = ({ code = 1006, reason = "" }) => lost(mine, code, reason);
    };

    const stream = async (mine, query) => {
      query.set("names", "channel");
      if (id) query.set("since", id);
      const abort = new AbortController();
      mine.drop = () => abort.abort();
      const { status, headers, body } = await env.fetch(address("http"), {
        method: "POST", body: query, headers: { accept: "text/event-stream" }, credentials: "include", signal: abort.signal,
      });
      if (status !== 200 || !/^text\/event-stream/.test(headers.get("content-type"))) {
        return lost(mine, status, "refused", 1e3 * headers.get("retry-after") || 0);
      }
      const reader = body.getReader();
      const decoder = new TextDecoder();
      let text = "", event = {};
      for (;;) {
        const { done, value } = await reader.read();
        if (done) lost(mine, 1006, "");
        if (link !== mine) return;
        mine.heard = now();
        if (!mine.since) ready(mine, { resumed: !!id });
        const lines = (text + decoder.decode(value, { stream: true })).split("\n");
        text = lines.pop();
        for (const line of lines) {
          const [, name, rest] = /^(.*?)(?:: ?(.*?))?\r?$/.exec(line);
          if (name === "data") event.data = event.data?.concat("\n", rest) ?? rest;
          else if (name === "retry") pause = +rest;
          else if (name) event[name] = rest;
          else if (rest === undefined) {
            take(mine, event);
            if (link !== mine) return;
            event = {};
          }
        }
      }
    };

    const take = (mine, { event = "message", data, id: position }) => {
      if (position) id = position;
      if (data === undefined) return;
      if (event === "holdfast.missed") emit("missed", JSON.parse(data));
      else if (event === "holdfast.closed") {
        const { code, reason } = JSON.parse(data);
        lost(mine, code, reason);
      } else if (event === "holdfast.binary") emit("message", Uint8Array.from(atob(data), c => c.charCodeAt()).buffer, {});
      else if (!/^holdfast\./.test(event)) {
        const channel = event === "message" ? undefined : event;
        emit("message", data, { channel, position: /=/.test(position) ? new URLSearchParams(position).get(channel) : position });
      }
    };

    const ready = (mine, { resumed = false, session, window } = {}) => {
      mine.since = mine.heard = now();
      pause = 0;
      if (mine.ws) id = undefined;
      else forget();
      leave();
      become("open");
      emit("open", { transport: transports[way], resumed, session, window });
      if (worked >= 0 && !resumed) emit("missed", {});
      worked = way;
      watch(mine);
    };

    // The passive deadline.
    const watch = mine => {
      const limit = silence ?? (mine.ws ? 0 : 75e3);
      const rest = mine.heard + limit - now();
      env.clearTimeout(timer);
      if (limit) rest > 0 ? later(() => watch(mine), rest) : lost(mine, 0, "silence");
    };

    const lost = (mine, code, reason, least = pause) => {
      if (link !== mine) return;
      const again = decide?.(code, reason) ?? (code === 4401 ? typeof token === "function" : !final(code));
      link = null;
      mine.drop();
      if (again) {
        if (now() - mine.since >= healthy) failures = 0;
        let limit = Math.min(maxDelay, minDelay * 2 ** failures++);
        if (!mine.since && mine.dialled && env.navigator?.onLine !== false && (worked !== way || failures > 4)) {
          way = (way + 1) % transports.length;
          if (way && worked === undefined) limit = 0; // each once at first
        }
        wait(limit, least);
      } else end();
      emit("close", { code, reason, again });
    };

    // Full jitter.
    const wait = (limit, least = 0) => {
      later(dial, least + limit * env.Math.random());
      become("waiting");
    };

    const wake = ({ type }) => {
      if (type === "visibilitychange" && env.document.hidden) return;
      if (this.state === "waiting") wait(minDelay);
      // It may be dead without a sign; a session loses nothing by another connection.
      else if (this.state === "open") type === "online" && session ? lost(link, 0, type) : watch(link);
    };
    const sources = ["online", "pageshow", "visibilitychange"];
    const end = () => {
      env.clearTimeout(timer);
      leave();
      sources.forEach(name => env.removeEventListener?.(name, wake));
      become("closed");
    };

    this.on = (name, listener) => {
      (listeners[name] ??= new Set()).add(listener);
      return () => listeners[name].delete(listener);
    };
    this.send = data => {
      if (this.state !== "open" || link.ws?.readyState !== 1) return false;
      link.ws.send(data);
      return true;
    };
    this.close = () => {
      link?.drop(true);
      link = null;
      end();
    };

    sources.forEach(name => env.addEventListener?.(name, wake));
    dial();
  }
}
