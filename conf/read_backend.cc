// [backend.NAME].
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>

#include "conf/hints.h"
#include "conf/read.h"
#include "conf/server_address.h"

namespace holdfast::conf {

namespace {

constexpr std::string_view kNameLetters =
    "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-";

bool only_of(std::string_view text, std::string_view letters) {
  return !text.empty() && text.find_first_not_of(letters) == text.npos;
}

// A name is looked up later, and again and again: what it stands for now says nothing of then.
bool read_server_address(Table& table, Address& out) {
  constexpr std::string_view kAllowed =
      "\"HOST:PORT\" with a numeric host or a name, \"[V6]:PORT\" or \"unix:/PATH\"";
  std::string text;
  if (!table.has("address")) table.missing("address", std::string(kAllowed));
  if (!table.text("address", text)) return false;
  std::optional<Address> address = parse_server_address(text);
  if (!address) {
    table.wrong("address", "not an address" + address_hint(text, true), std::string(kAllowed));
    return false;
  }
  out = *std::move(address);
  return true;
}

void read_one_server(Table& table, Table& backend, Backend& out) {
  BackendServer server;
  bool good = read_server_address(table, server.address);
  table.number("weight", server.weight, {1, 1000});
  table.finish();
  if (!good) return;
  if (!is_name(server.address) && !server.address.is_unix() && server.address.port() == 0) {
    return table.wrong("address", "port 0 cannot be connected to", "a port from 1 to 65535");
  }
  auto same = [&](const BackendServer& other) { return other.address == server.address; };
  if (std::any_of(out.servers.begin(), out.servers.end(), same)) {
    return table.wrong("address", fmt::format("twice in {}", backend.name("servers")),
                       "every server once; weight says how much it gets");
  }
  out.servers.push_back(std::move(server));
}

void read_servers(Table& backend, Backend& out) {
  constexpr std::string_view kForm = "[ { address = \"127.0.0.1:9000\", weight = 1 } ]";
  const Node* value = backend.find("servers");
  if (value == nullptr) return backend.missing("servers", std::string(kForm));
  for (Table& table : backend.tables("servers", kForm)) read_one_server(table, backend, out);
  if (value->kind == Node::Kind::array && value->items.empty()) {
    backend.wrong("servers", "empty", "at least one server");
  }
}

// Whether the files exist is not looked at: the application may see another file system.
void read_script(Table& table, Backend& out) {
  if (!table.has("script_filename")) {
    table.missing("script_filename", "the absolute path of the script, as the application sees it");
  } else if (read_absolute(table, "script_filename", out.script_filename)) {
    out.document_root = std::filesystem::path(out.script_filename).parent_path();
  }
  read_absolute(table, "document_root", out.document_root);
}

void read_params(Table& backend, Backend& out) {
  std::optional<Table> params = backend.table("params", "{ NAME = \"value\" }");
  if (!params) return;
  constexpr std::string_view kLetters =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_";
  for (const Member& param : params->members()) {
    std::string value;
    if (!only_of(param.key, kLetters)) {
      params->misplaced(param.key, "not a parameter's name", "letters, digits and _");
    } else if (params->text(param.key, value)) {
      out.params[param.key] = value;
    }
  }
  params->finish();
}

void read_events(Table& table, Backend& out) {
  if (!table.has("events")) return;
  out.event_connect = out.event_close = out.event_subscribe = false;
  std::vector<const Node*> events = table.texts("events");
  for (size_t i = 0; i < events.size(); ++i) {
    if (events[i]->text == "connect") {
      out.event_connect = true;
    } else if (events[i]->text == "close") {
      out.event_close = true;
    } else if (events[i]->text == "subscribe") {
      out.event_subscribe = true;
    } else {
      table.wrong_item("events", i, *events[i], "unknown event",
                       "\"connect\", \"close\", \"subscribe\" (messages always go)");
    }
  }
}

void read_bounds(Table& table, Backend& out) {
  table.number("max_connections", out.max_connections, {1, 100'000});
  table.duration("resolve_every", out.resolve_every_ms, {kSecond, 24 * kHour});
  table.duration("connect_timeout", out.connect_timeout_ms, {1, kHour});
  table.duration("read_timeout", out.read_timeout_ms, {1, 24 * kHour});
  table.number("queue", out.queue, {0, 10'000'000});
  table.size("max_response", out.max_response, {kKiB, kGiB});
  table.choice<Order>("order", out.order, {{"session", Order::session}, {"none", Order::none}});
  table.boolean("keep_alive", out.keep_alive);
  table.duration("keep_alive_patience", out.keep_alive_patience_ms, {1, kHour});
  table.duration("close_retry", out.close_retry_ms, {0, 24 * kHour});
}

void read_backend(Table& table, Backend& out) {
  bool fastcgi = true;  // the only kind; a choice, so that a wrong word is told the right one
  table.choice<bool>("kind", fastcgi, {{"fastcgi", true}});
  read_servers(table, out);
  read_script(table, out);
  read_params(table, out);
  read_events(table, out);
  read_bounds(table, out);
  table.finish();
}

}  // namespace

void read_backends(Table& root, Reading& reading) {
  std::optional<Table> named = root.table("backend", "[backend.NAME]");
  if (!named) return;
  for (const Member& member : named->members()) {
    if (member.key == "relay" || member.key == "echo") {
      named->misplaced(member.key, "the name of a built-in backend", "another name");
    } else if (!only_of(member.key, kNameLetters) || member.key.size() > 64) {
      named->misplaced(member.key, "not a backend's name", "1 to 64 letters, digits, _ and -");
    }
    std::optional<Table> table = named->table(member.key, "[backend.NAME]");
    if (!table) continue;
    // Stored even where it is wrong: a [[listen]] that names it is right.
    Backend& backend = reading.config.backends[member.key];
    backend.name = member.key;
    read_backend(*table, backend);
  }
  named->finish();
}

}  // namespace holdfast::conf
