// The token file of an [[api]]: one token a line, with its scopes where it may not do everything.
//
// No message quotes anything of the file but scope names known to be some: it ends up in logs.
#include <fmt/format.h>

#include <algorithm>

#include "conf/files.h"
#include "conf/read.h"

namespace holdfast::conf {

namespace {

constexpr size_t kMinToken = 16;
constexpr size_t kMaxToken = 1024;
constexpr size_t kMaxTokenFile = 64 * kKiB;
constexpr std::string_view kBlanks = " \t\r";
constexpr std::string_view kTokenFile =
    "a file only its owner can read, with one token of 16 or more visible ASCII characters a line";
constexpr std::string_view kTokenLine = "TOKEN, or TOKEN and some of push,query,admin";

std::string_view trimmed(std::string_view line) {
  size_t first = line.find_first_not_of(kBlanks);
  if (first == line.npos) return {};
  return line.substr(first, line.find_last_not_of(kBlanks) - first + 1);
}

// "" or what is wrong.
std::string secret_error(std::string_view secret) {
  if (secret.size() < kMinToken) return fmt::format("shorter than {} characters", kMinToken);
  if (secret.size() > kMaxToken) return fmt::format("longer than {} characters", kMaxToken);
  bool visible =
      std::all_of(secret.begin(), secret.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  return visible ? "" : "not visible ASCII characters";
}

// 0: no scope.
unsigned scope_of(std::string_view word) {
  if (word == "push") return kScopePush;
  if (word == "query") return kScopeQuery;
  return word == "admin" ? kAllScopes : 0;
}

// 0: one of them is none.
unsigned scopes_of(std::string_view words) {
  unsigned scopes = 0;
  while (true) {
    size_t end = std::min(words.find(','), words.size());
    unsigned scope = scope_of(trimmed(words.substr(0, end)));
    if (scope == 0) return 0;
    scopes |= scope;
    if (end == words.size()) return scopes;
    words.remove_prefix(end + 1);
  }
}

class TokenLines {
 public:
  TokenLines(Table& table, Api& api) : table_(table), api_(api) {}

  void take(std::string_view text) {
    while (!text.empty()) {
      size_t end = std::min(text.find('\n'), text.size());
      std::string_view line = trimmed(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
      ++number_;
      if (!line.empty() && !line.starts_with('#')) take_line(line);
    }
    if (api_.tokens.empty() && !bad_) {
      table_.wrong("token_file", "no token in it", std::string(kTokenFile));
    }
  }

 private:
  void take_line(std::string_view line) {
    size_t blank = line.find_first_of(kBlanks);
    std::string_view secret = line.substr(0, blank);
    Token token{std::string(secret), kAllScopes};
    if (blank != line.npos) token.scopes = scopes_of(line.substr(blank));
    if (std::string error = secret_error(secret); !error.empty()) return wrong(error, kTokenFile);
    if (token.scopes == 0) return wrong("what follows it is not a list of scopes", kTokenLine);
    for (size_t i = 0; i < api_.tokens.size(); ++i) {
      if (api_.tokens[i].secret == secret)
        return wrong(fmt::format("the same as in line {}", lines_[i]), "every token once");
    }
    api_.tokens.push_back(std::move(token));
    lines_.push_back(number_);
  }

  void wrong(std::string_view what, std::string_view allowed) {
    table_.wrong("token_file", fmt::format("token in line {}: {}", number_, what),
                 std::string(allowed));
    bad_ = true;
  }

  Table& table_;
  Api& api_;
  std::vector<unsigned> lines_;  // of api_.tokens
  unsigned number_ = 0;
  bool bad_ = false;
};

}  // namespace

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
  TokenLines(table, api).take(file->text);
}

}  // namespace holdfast::conf
