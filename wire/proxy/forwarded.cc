#include "wire/proxy/forwarded.h"

#include <algorithm>
#include <string>

#include "wire/http/chars.h"

namespace holdfast::proxy {
namespace {

using http::trimmed;

// What is taken off the end of a list.
struct Entry {
  std::string_view node;  // who it is for; "": it does not say, or cannot be read
  size_t begin = 0;       // where the entry begins, or npos: it cannot be read
};

Entry last_of_x_forwarded_for(std::string_view list) {
  size_t comma = list.rfind(',');
  size_t begin = comma == list.npos ? 0 : comma + 1;
  return {trimmed(list.substr(begin)), begin};
}

// ---- Forwarded, from its end

// What may stand in a value without quotes: a token's characters, and those of addresses and ports, for proxies
// write them so.
bool is_bare(char c) {
  return http::is_token_char(c) || c == ':' || c == '[' || c == ']';
}

// The last place a run of characters begins.
template <class F>
size_t begin_of_run(std::string_view text, F&& belongs) {
  size_t begin = text.size();
  while (begin > 0 && belongs(text[begin - 1])) --begin;
  return begin;
}

// Where the quoted string that ends `text` begins; npos: nowhere. A quote within it has an odd number of backslashes before it.
size_t begin_of_quoted(std::string_view text) {
  for (size_t at = text.size() - 1; at-- > 0;) {
    if (text[at] != '"') continue;
    size_t backslashes = at - begin_of_run(text.substr(0, at), [](char c) { return c == '\\'; });
    if (backslashes % 2 == 0) return at;
  }
  return text.npos;
}

struct Pair {
  std::string_view name, value;  // no name: it is none
};

// Trimmed at the end alone: places count from the beginning.
void trim_end(std::string_view& text) {
  while (text.ends_with(' ') || text.ends_with('\t')) text.remove_suffix(1);
}

// Takes the last pair of `text` off.
Pair take_last_pair(std::string_view& text) {
  Pair pair;
  size_t begin = text.npos;
  if (text.ends_with('"')) {
    begin = begin_of_quoted(text);
    if (begin == text.npos) return {};
    pair.value = text.substr(begin + 1, text.size() - begin - 2);
  } else {
    begin = begin_of_run(text, is_bare);
    pair.value = text.substr(begin);
    if (pair.value.empty()) return {};
  }
  text = text.substr(0, begin);
  if (!text.ends_with('=')) return {};
  text.remove_suffix(1);
  begin = begin_of_run(text, http::is_token_char);
  pair.name = text.substr(begin);
  text = text.substr(0, begin);
  return pair;
}

Entry last_of_forwarded(std::string_view list) {
  Entry entry;
  bool named = false;
  while (true) {
    trim_end(list);
    Pair pair = take_last_pair(list);
    if (pair.name.empty()) return {{}, list.npos};
    if (http::equal_ignoring_case(pair.name, "for")) {
      if (named) return {{}, list.npos};  // each at most once (section 4)
      named = true;
      entry.node = pair.value;
    }
    trim_end(list);
    if (list.empty() || list.ends_with(',')) break;
    if (!list.ends_with(';')) return {{}, list.npos};
    list.remove_suffix(1);
  }
  entry.begin = list.size();
  return entry;
}

// ---- nodes

// A number, or a hidden name (section 6.3).
bool is_port(std::string_view text) {
  auto digit = [](char c) { return c >= '0' && c <= '9'; };
  auto hidden = [&](char c) {
    return digit(c) || (http::lower_char(c) >= 'a' && http::lower_char(c) <= 'z') || c == '.' ||
           c == '_' || c == '-';
  };
  if (text.starts_with('_'))
    return text.size() > 1 && std::all_of(text.begin(), text.end(), hidden);
  return !text.empty() && text.size() <= 5 && std::all_of(text.begin(), text.end(), digit);
}

std::optional<in6_addr> parse_zoned(std::string_view text) {
  size_t zone = text.find('%');
  if (zone != text.npos && (zone + 1 == text.size() || text.find(':') > zone)) return {};
  std::optional<in6_addr> address = conf::parse_ip(text.substr(0, zone));
  static constexpr in6_addr kNone{};
  bool none = address && (IN6_IS_ADDR_V4MAPPED(&*address) ? address->s6_addr32[3] == 0
                                                          : IN6_ARE_ADDR_EQUAL(&*address, &kNone));
  return none ? std::nullopt : address;
}

}  // namespace

std::optional<in6_addr> address_of_node(std::string_view text) {
  if (text.starts_with('[')) {
    size_t end = text.find(']');
    if (end == text.npos) return {};
    std::string_view host = text.substr(1, end - 1), behind = text.substr(end + 1);
    if (!behind.empty() && (behind[0] != ':' || !is_port(behind.substr(1)))) return {};
    return host.find(':') == host.npos ? std::nullopt : parse_zoned(host);
  }
  size_t colon = text.find(':');
  bool one = colon != text.npos && text.find(':', colon + 1) == text.npos;
  if (one && !is_port(text.substr(colon + 1))) return {};
  return parse_zoned(one ? text.substr(0, colon) : text);
}

Believed client_behind(const http::Request& request, const conf::Listen& listen,
                       const in6_addr& peer) {
  Believed believed{peer};
  if (listen.forwarded == conf::Forwarded::none) return believed;
  bool standard = listen.forwarded == conf::Forwarded::standard;
  std::string_view name = standard ? "Forwarded" : "X-Forwarded-For";
  for (size_t line = request.headers.size(); line-- > 0;) {
    if (!http::equal_ignoring_case(request.headers[line].name, name)) continue;
    std::string_view list = request.headers[line].value;
    for (bool more = true; more;) {
      if (!listen.trusts(believed.client)) return believed;
      Entry entry = standard ? last_of_forwarded(list) : last_of_x_forwarded_for(list);
      std::optional<in6_addr> before =
          entry.begin == list.npos ? std::nullopt : address_of_node(entry.node);
      believed.readable = before.has_value();
      if (!before) return believed;
      believed.client = *before;
      more = entry.begin > 0;
      if (more) list = list.substr(0, entry.begin - 1);  // without the comma
    }
  }
  return believed;
}

}  // namespace holdfast::proxy
