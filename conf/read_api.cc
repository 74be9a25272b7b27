// [[api]] with its token file, and what all addresses have in common.
#include <fmt/format.h>

#include <algorithm>
#include <cstring>
#include <filesystem>

#include "conf/files.h"
#include "conf/read.h"

namespace holdfast::conf {

namespace {

constexpr size_t kMinToken = 16;
constexpr size_t kMaxToken = 1024;
constexpr size_t kMaxTokenFile = 64 * kKiB;
constexpr std::string_view kTokenFile =
    "a file only its owner can read, with one token of 16 or more visible ASCII characters a line";

std::string_view trimmed(std::string_view line) {
  size_t first = line.find_first_not_of(" \t\r");
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(" \t\r") - first + 1);
}

// "" or what is wrong. Never quotes the token: the message ends up in logs.
std::string token_error(std::string_view token) {
  if (token.size() < kMinToken) return fmt::format("shorter than {} characters", kMinToken);
  if (token.size() > kMaxToken) return fmt::format("longer than {} characters", kMaxToken);
  bool visible =
      std::all_of(token.begin(), token.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return visible ? "" : "not visible ASCII characters without a space";
}

void take_tokens(Table& table, std::string_view text, Api& api) {
  unsigned number = 0;
  bool bad = false;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    ++number;
    if (line.empty() || line.starts_with('#')) continue;
    std::string error = token_error(line);
    if (error.empty()) {
      api.tokens.emplace_back(line);
    } else {
      table.wrong("token_file", fmt::format("token in line {}: {}", number, error),
                  std::string(kTokenFile));
      bad = true;
    }
  }
  if (api.tokens.empty() && !bad) {
    table.wrong("token_file", "no token in it", std::string(kTokenFile));
  }
}

void read_tokens(Table& table, Api& api, const Reading& reading) {
  std::string path;
  if (!table.text("token_file", path)) return;
  if (path.empty()) return table.wrong("token_file", "empty", std::string(kTokenFile));
  api.token_file = reading.resolve(path);
  Result<WholeFile> file = read_whole(api.token_file, kMaxTokenFile);
  if (!file) return table.wrong("token_file", file.error().text(), std::string(kTokenFile));
  if ((file->mode & 07) != 0) {
    return table.wrong(
        "token_file", fmt::format("everybody on this machine may use it (mode {:04o})", file->mode),
        fmt::format("no rights for others: chmod o= {}", api.token_file));
  }
  take_tokens(table, file->text, api);
}

void read_api(Table& table, Api& api, Reading& reading) {
  bool bound = read_address(table, api.address);
  if (bound) reading.bound.push_back({api.address, table.place("address"), table.name("address")});
  table.choice<ApiProtocol>("protocol", api.protocol, {{"http", ApiProtocol::http}},
                            {"resp", "router"});
  read_tokens(table, api, reading);
  bool local = api.address.is_unix() || api.address.is_loopback();
  if (bound && !local && !table.has("token_file")) {
    table.wrong("address", "anybody who reaches it could push to all clients",
                "a loopback or unix address, or token_file besides");
  }
  table.size("max_body", api.max_body, {kKiB, kGiB});
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
  if (!table.text("address", text)) return false;
  std::optional<Address> address = parse_address(text);
  if (address) {
    out = *address;
  } else {
    table.wrong("address", "not an address", std::string(kAllowed));
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
