// [[api]], and what all addresses have in common.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "conf/hints.h"
#include "conf/read.h"

namespace holdfast::conf {

namespace {

// A router listener has nothing that could be checked but who can reach it.
void check_router(Table& table, bool exposed) {
  table.misplaced("token_file", "protocol = \"router\" has no authentication",
                  "not on a router listener, which must be loopback, unix or have a client_ca");
  if (exposed) {
    table.wrong("address", "protocol = \"router\" has no authentication",
                "a loopback or unix address, or client_ca besides");
  }
}

// A host as Host has it, without a port.
bool is_host(std::string_view text) {
  auto fits = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_';
  };
  return !text.empty() && text.size() <= 253 && std::all_of(text.begin(), text.end(), fits) &&
         !parse_ip(text);
}

void read_hosts(Table& table, Api& api) {
  if (api.protocol != ApiProtocol::http) {
    return table.misplaced("hosts", "only for protocol = \"http\"",
                           "not on a listener that is not asked by HTTP");
  }
  std::vector<const Node*> hosts = table.texts("hosts");
  for (size_t i = 0; i < hosts.size(); ++i) {
    if (is_host(hosts[i]->text)) {
      api.hosts.push_back(hosts[i]->text);
    } else {
      table.wrong_item("hosts", i, *hosts[i], "not a host's name",
                       "\"api.internal\": a name as it stands in Host, without a port");
    }
  }
}

void read_api(Table& table, Api& api, Reading& reading) {
  bool bound = read_address(table, api.address);
  if (bound) reading.bound.push_back({api.address, table.place("address"), table.name("address")});
  table.choice<ApiProtocol>(
      "protocol", api.protocol,
      {{"http", ApiProtocol::http}, {"resp", ApiProtocol::resp}, {"router", ApiProtocol::router}});
  read_tls(table, api.tls, reading);
  read_client_ca(table, api, reading);
  bool closed = api.address.is_unix() || api.address.is_loopback() || table.has("client_ca");
  if (api.protocol == ApiProtocol::router) {
    check_router(table, bound && !closed);
  } else {
    read_tokens(table, api, reading);
    if (bound && !closed && !table.has("token_file")) {
      table.wrong("address", "anybody who reaches it could push to all clients",
                  "a loopback or unix address, or token_file or client_ca besides");
    }
  }
  read_hosts(table, api);
  table.size("max_body", api.max_body, {kKiB, kGiB});
  if (api.protocol == ApiProtocol::resp) {
    table.size("send_queue", api.send_queue, {64 * kKiB, kGiB});
  } else {
    table.misplaced("send_queue", "only for protocol = \"resp\"",
                    "not on a listener without subscribers");
  }
  table.finish();
}

bool same_place(const Address& a, const Address& b) {
  return a.raw_bytes == b.raw_bytes && std::memcmp(&a.raw, &b.raw, a.raw_bytes) == 0;
}

// The master binds these two by itself.
bool is_own_socket(const Address& address, const Server& server) {
  std::string path = address.unix_path();
  return path == server.runtime_dir + "/api.sock" || path == server.runtime_dir + "/control.sock";
}

}  // namespace

void read_apis(Table& root, Reading& reading) {
  for (Table& table : root.tables("api", "[[api]]")) {
    read_api(table, reading.config.apis.emplace_back(), reading);
  }
}

// 0.0.0.0:80 beside 127.0.0.1:80 is fine: the kernel gives a connection to the more exact one. Port
// 0 is another port every time.
void check_bound_once(Reading& reading) {
  std::vector<Bound>& bound = reading.bound;
  std::stable_sort(bound.begin(), bound.end(), [](const Bound& a, const Bound& b) {
    return a.place.line != b.place.line ? a.place.line < b.place.line
                                        : a.place.column < b.place.column;
  });
  for (auto it = bound.begin(); it != bound.end(); ++it) {
    std::string what;
    auto first = std::find_if(bound.begin(), it, [&](const Bound& other) {
      return same_place(other.address, it->address);
    });
    if (is_own_socket(it->address, reading.config.server)) what = "holdfastctl's own socket";
    if (first != it) what = fmt::format("the same as {} in line {}", first->key, first->place.line);
    bool any_port = !it->address.is_unix() && it->address.port() == 0;
    if (what.empty() || any_port) continue;
    reading.report.add(it->place, it->key, fmt::format("= \"{}\": {}", it->address.text, what),
                       "every address once in all of listen and api");
  }
}

bool read_address(Table& table, Address& out) {
  constexpr std::string_view kAllowed =
      "\"HOST:PORT\" with a numeric host, \"[V6]:PORT\" or \"unix:/PATH\"";
  if (!table.has("address")) {
    table.missing("address", std::string(kAllowed));
    return false;
  }
  std::string text;
  const Node* value = table.find("address");
  if (value->kind == Node::Kind::integer && value->number > 0 && value->number < 65'536) {
    table.wrong("address", "an integer, not a string" + address_hint(value->written, false),
                "a string: " + std::string(kAllowed));
    return false;
  }
  if (!table.text("address", text)) return false;
  std::optional<Address> address = parse_address(text);
  if (address) {
    out = *address;
  } else {
    table.wrong("address", "not an address" + address_hint(text, false), std::string(kAllowed));
  }
  return address.has_value();
}

bool read_absolute(Table& table, std::string_view key, std::string& out) {
  std::string path;
  if (!table.text(key, path)) return false;
  if (path.starts_with('/') && path.find('\0') == path.npos) {
    out = path;
    return true;
  }
  table.wrong(key, "not an absolute path", "a path that starts with /");
  return false;
}

std::string Reading::resolve(const std::string& path) const {
  return (std::filesystem::path(folder) / path).lexically_normal();
}

}  // namespace holdfast::conf
