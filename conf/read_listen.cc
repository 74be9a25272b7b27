// [[listen]], without its framing.
#include <fmt/format.h>

#include <algorithm>

#include "base/names.h"
#include "conf/files.h"
#include "conf/origin.h"
#include "conf/read.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

constexpr size_t kMaxPage = kMiB;
constexpr size_t kMaxChannelBytes = 255;
constexpr size_t kMaxSubprotocolBytes = 255;

// Keys that mean something for WebSocket only. All of them are known keys, also where they are out
// of place.
void refuse_websocket_keys(Table& table) {
  for (std::string_view key :
       {"path", "page", "origins", "subprotocols", "streams", "ping_interval", "close_timeout",
        "forwarded", "token", "permessage_deflate", "resume", "resume_buffer"}) {
    table.misplaced(key, "only for protocol = \"websocket\"", "not on a tcp listener");
  }
}

// False: the path is wrong, and what depends on it cannot be judged.
bool read_path(Table& table, Listen& listen) {
  if (!table.has("path")) return true;
  std::string path;
  if (!table.text("path", path)) return false;
  bool plain = !has_control_character(path) && path.find_first_of(" ?#%") == path.npos;
  if (!path.starts_with('/') || !plain) {
    table.wrong("path", "not a path", "a path that starts with / and has no space, ?, # or %");
    return false;
  }
  listen.path = path;
  return true;
}

void read_path_and_page(Table& table, Listen& listen, const Reading& reading) {
  bool path_known = read_path(table, listen);
  std::string page;
  if (!table.text("page", page)) return;
  // GET / cannot be the page for people and the place for hand-shakes: a hand-shake that lacks a
  // header would be answered with the page instead of an error.
  if (path_known && listen.path == "/") {
    table.wrong("page", "the page is answered at /, where this listener takes hand-shakes",
                "page together with another path, as path = \"/ws\"");
  }
  if (page.empty()) return table.wrong("page", "empty", "the path of an HTML file");
  listen.page = reading.resolve(page);
  Result<WholeFile> file = read_whole(listen.page, kMaxPage);
  if (file) {
    listen.page_html = std::move(file->text);
  } else {
    table.wrong("page", file.error().text(),
                fmt::format("a readable HTML file of at most {}", format_size(kMaxPage)));
  }
}

// As browsers send them, so that comparing needs no thought; twice the same is once.
void read_origins(Table& table, Listen& listen) {
  std::vector<const Node*> origins = table.texts("origins");
  for (size_t i = 0; i < origins.size(); ++i) {
    const std::string& text = origins[i]->text;
    if (text == "*" && origins.size() == 1) {
      listen.origins = {"*"};
      continue;
    }
    auto [origin, hint] = read_origin(text);
    auto& all = listen.origins;
    if (origin.empty()) {
      constexpr std::string_view kAny =
          "\"https://example.com\", with a port if it is not the scheme's; or only \"*\"";
      table.wrong_item("origins", i, *origins[i],
                       text == "*" ? "\"*\" allows all; it must stand alone" : "not an origin",
                       std::string(hint.empty() || text == "*" ? kAny : hint));
    } else if (std::find(all.begin(), all.end(), origin) == all.end()) {
      all.push_back(origin);
    }
  }
}

// Names are tokens (RFC 6455 section 11.3.4), told apart letter by letter.
void read_subprotocols(Table& table, Listen& listen) {
  constexpr std::string_view kSigns = "!#$%&'*+-.^_`|~";
  auto token = [&](char c) {
    return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') ||
           (c != '\0' && kSigns.find(c) != kSigns.npos);
  };
  std::vector<const Node*> names = table.texts("subprotocols");
  for (size_t i = 0; i < names.size(); ++i) {
    const std::string& name = names[i]->text;
    auto& all = listen.subprotocols;
    if (name.empty() || name.size() > kMaxSubprotocolBytes ||
        !std::all_of(name.begin(), name.end(), token)) {
      table.wrong_item("subprotocols", i, *names[i], "not a subprotocol's name",
                       "1 to 255 letters, digits and !#$%&'*+-.^_`|~, as \"graphql-transport-ws\"");
    } else if (std::find(all.begin(), all.end(), name) != all.end()) {
      table.wrong_item("subprotocols", i, *names[i], "twice", "every name once");
    } else {
      all.push_back(name);
    }
  }
}

void read_streams(Table& table, Listen& listen) {
  std::vector<const Node*> kinds = table.texts("streams");
  for (size_t i = 0; i < kinds.size(); ++i) {
    if (kinds[i]->text != "sse") {
      table.wrong_item("streams", i, *kinds[i], "not a kind of stream", "\"sse\"");
    } else if (listen.answers(Stream::sse)) {
      table.wrong_item("streams", i, *kinds[i], "twice", "every kind once");
    } else {
      listen.streams.push_back(Stream::sse);
    }
  }
}

void read_proxies(Table& table, Listen& listen) {
  std::vector<const Node*> proxies = table.texts("proxies");
  for (size_t i = 0; i < proxies.size(); ++i) {
    const std::string& text = proxies[i]->text;
    if (text == "unix") {
      listen.proxies_unix = true;
    } else if (std::optional<Network> network = parse_network(text)) {
      listen.proxies.push_back(*network);
    } else {
      table.wrong_item("proxies", i, *proxies[i], "not a network",
                       "\"192.0.2.0/24\", \"2001:db8::/32\" (no bits behind the prefix), a single "
                       "address, or \"unix\"");
    }
  }
  table.boolean("proxy_protocol", listen.proxy_protocol);
  if (listen.protocol == Protocol::websocket)
    table.choice<Forwarded>("forwarded", listen.forwarded,
                            {{"none", Forwarded::none},
                             {"Forwarded", Forwarded::standard},
                             {"X-Forwarded-For", Forwarded::x_forwarded_for}});
  if (!proxies.empty()) return;
  constexpr std::string_view kNeeds = "\"proxies\" beside it: the networks whose word is taken";
  if (listen.proxy_protocol)
    table.wrong("proxy_protocol", "nobody would be believed", std::string(kNeeds));
  if (listen.forwarded != Forwarded::none)
    table.wrong("forwarded", "nobody would be believed", std::string(kNeeds));
}

void read_liveness(Table& table, Listen& listen) {
  Range any{0, 24 * kHour};
  if (listen.protocol == Protocol::websocket) {
    table.duration("ping_interval", listen.ping_interval_ms, any);
    table.duration("close_timeout", listen.close_timeout_ms, {1, kHour});
  } else {
    listen.ping_interval_ms = 0;  // a TCP stream has no pings
  }
  table.duration("idle_timeout", listen.idle_timeout_ms, any);
  if (listen.ping_interval_ms == 0 || listen.idle_timeout_ms == 0) return;
  if (listen.ping_interval_ms < listen.idle_timeout_ms) return;
  table.wrong(table.has("ping_interval") ? "ping_interval" : "idle_timeout",
              fmt::format("a session would be idle for {} before its ping at {}",
                          format_duration(listen.idle_timeout_ms),
                          format_duration(listen.ping_interval_ms)),
              "a ping_interval shorter than idle_timeout, or \"0s\" for one of them");
}

void read_permessage_deflate(Table& listen, Listen& out) {
  if (!listen.has("permessage_deflate")) return;
  std::optional<Table> table =
      listen.table("permessage_deflate", "permessage_deflate = { level = 6, ... }, or {}");
  if (!table) return;
  PermessageDeflate& deflate = out.permessage_deflate.emplace();
  table->number("level", deflate.level, {1, 9});
  table->size("min_size", deflate.min_size, {0, kGiB});
  table->boolean("client_no_context_takeover", deflate.client_no_context_takeover);
  table->number("client_max_window_bits", deflate.client_max_window_bits, {8, 15});
  table->finish();
}

void read_resume(Table& table, Listen& listen) {
  if (listen.protocol != Protocol::websocket) return;
  table.duration("resume", listen.resume_ms, {0, kHour});
  table.size("resume_buffer", listen.resume_buffer, {kKiB, kGiB});
  if (listen.resume_ms == 0 || listen.resume_buffer <= listen.send_queue) return;
  table.wrong(table.has("resume_buffer") ? "resume_buffer" : "resume",
              fmt::format("a client that comes back could be sent {} at once, more than its "
                          "send_queue of {}",
                          format_size(listen.resume_buffer), format_size(listen.send_queue)),
              "a resume_buffer of at most send_queue");
}

void read_channels(Table& table, Listen& listen, const Limits& limits) {
  std::vector<const Node*> channels = table.texts("channels");
  for (size_t i = 0; i < channels.size(); ++i) {
    const std::string& name = channels[i]->text;
    auto& names = listen.channels;
    if (name.empty() || name.size() > kMaxChannelBytes || has_control_character(name)) {
      table.wrong_item("channels", i, *channels[i], "not a channel's name",
                       "1 to 255 bytes without control characters");
    } else if (std::find(names.begin(), names.end(), name) != names.end()) {
      table.wrong_item("channels", i, *channels[i], "twice", "every channel once");
    } else {
      names.push_back(name);
    }
  }
  if (listen.channels.size() > limits.max_channels_per_session) {
    table.wrong("channels", "more than limits.max_channels_per_session",
                fmt::format("at most {}", limits.max_channels_per_session));
  }
}

void read_backend_name(Table& table, Listen& listen, const Config& config) {
  constexpr std::string_view kAllowed = "\"relay\", \"echo\" or the NAME of a [backend.NAME]";
  if (!table.has("backend")) return table.missing("backend", std::string(kAllowed));
  if (!table.text("backend", listen.backend)) return;
  std::vector<std::string_view> names{"relay", "echo"};
  for (const auto& [name, backend] : config.backends) names.push_back(name);
  if (std::find(names.begin(), names.end(), listen.backend) != names.end()) return;
  table.wrong("backend", "no such backend" + did_you_mean(listen.backend, names),
              std::string(kAllowed));
}

void read_by_protocol(Table& table, Listen& listen, const Reading& reading) {
  if (listen.protocol == Protocol::websocket) {
    read_path_and_page(table, listen, reading);
    read_origins(table, listen);
    read_subprotocols(table, listen);
    read_streams(table, listen);
    read_connect_token(table, listen, reading);
    read_permessage_deflate(table, listen);
    table.misplaced("framing", "only for protocol = \"tcp\"", "not on a websocket listener");
    return;
  }
  refuse_websocket_keys(table);
  read_framing(table, listen);
  if (listen.backend == "relay" && !table.has("channels")) {
    table.missing("channels",
                  "a TCP client names no channels, so relay needs them here: [\"NAME\"]");
  } else if (listen.backend == "relay" && listen.channels.empty()) {
    table.wrong("channels", "no channel to relay to",
                "at least one, for backend = \"relay\" on tcp");
  }
}

// Asks for every key, so that finish() does not call one unknown that is only out of place.
void know_all(Table& table) {
  for (std::string_view key :
       {"path", "page", "origins", "subprotocols", "streams", "framing", "ping_interval",
        "close_timeout", "channels", "idle_timeout", "proxies", "proxy_protocol", "forwarded",
        "token", "permessage_deflate", "resume", "resume_buffer"}) {
    table.has(key);
  }
}

void read_listen(Table& table, Listen& listen, Reading& reading) {
  if (read_address(table, listen.address)) {
    reading.bound.push_back({listen.address, table.place("address"), table.name("address")});
  }
  bool protocol_known =
      table.choice<Protocol>("protocol", listen.protocol,
                             {{"websocket", Protocol::websocket}, {"tcp", Protocol::tcp}}) ||
      !table.has("protocol");
  read_backend_name(table, listen, reading.config);
  know_all(table);
  read_tls(table, listen.tls, reading);
  read_channels(table, listen, reading.config.limits);
  if (protocol_known) {
    read_by_protocol(table, listen, reading);
    read_liveness(table, listen);
    read_proxies(table, listen);
  }
  table.size("send_queue", listen.send_queue, {kKiB, kGiB});
  if (protocol_known) read_resume(table, listen);
  read_slow_consumer(table, listen.slow_consumer);
  table.number("backlog", listen.backlog, {1, 65'535});
  table.number("max_pending", listen.max_pending, {1, 100'000});
  table.finish();
}

}  // namespace

void read_slow_consumer(Table& table, SlowConsumer& out) {
  table.choice<SlowConsumer>("slow_consumer", out,
                             {{"close", SlowConsumer::close},
                              {"drop-newest", SlowConsumer::drop_newest},
                              {"drop-oldest", SlowConsumer::drop_oldest},
                              {"keep-latest", SlowConsumer::keep_latest}});
}

void read_listens(Table& root, Reading& reading) {
  const Node* value = root.find("listen");
  if (value == nullptr || (value->kind == Node::Kind::array && value->items.empty())) {
    return reading.report.add({}, "listen", "nothing to listen at", "at least one [[listen]]");
  }
  for (Table& table : root.tables("listen", "[[listen]]")) {
    read_listen(table, reading.config.listens.emplace_back(), reading);
  }
}

}  // namespace holdfast::conf
