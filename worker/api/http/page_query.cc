#include "worker/api/http/page_query.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <charconv>

#include "wire/http/request.h"

namespace holdfast::api {
namespace {

enum Parameter : unsigned { kLimit = 1, kCursor = 2, kPrefix = 4 };

// 0: no list has it.
unsigned parameter_named(std::string_view name) {
  if (name == "limit") return kLimit;
  if (name == "cursor") return kCursor;
  return name == "prefix" ? unsigned{kPrefix} : 0;
}

bool read_limit(const PageRules& rules, std::string_view text, uint32_t* limit) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *limit);
  return error == std::errc{} && end == text.data() + text.size() && *limit >= rules.min_limit &&
         *limit <= rules.max_limit;
}

std::string allowed_text(const PageRules& rules) {
  std::string text = fmt::format(
      "allowed in the query, once each: limit=N ({} to {}), cursor=TEXT (of the answer "
      "before, to the same list)",
      rules.min_limit, rules.max_limit);
  if (rules.max_prefix_bytes > 0)
    text += fmt::format(", prefix=TEXT (at most {} bytes of UTF-8)", rules.max_prefix_bytes);
  return text;
}

class Parser {
 public:
  explicit Parser(const PageRules& rules) : rules_(rules) { query_.limit = rules.default_limit; }

  bool read(std::string_view text) {
    while (!text.empty()) {
      std::string_view pair = text.substr(0, text.find('&'));
      text.remove_prefix(std::min(text.size(), pair.size() + 1));
      if (!parameter(pair)) return false;
    }
    return true;
  }
  // The cursor belongs to a list that is only known when the prefix is.
  bool finish(std::string_view name) {
    if ((seen_ & kCursor) == 0) return true;
    bool by_prefix = rules_.max_prefix_bytes > 0;
    query_.after = read_cursor({rules_.kind, by_prefix ? query_.prefix : name}, cursor_);
    return query_.after.has_value();
  }
  PageQuery take() { return std::move(query_); }

 private:
  bool parameter(std::string_view pair) {
    size_t equals = pair.find('=');
    unsigned bit = parameter_named(pair.substr(0, equals));
    if (bit == 0 || (seen_ & bit) != 0 || equals == std::string_view::npos) return false;
    seen_ |= bit;
    std::optional<std::string> value = http::percent_decode(pair.substr(equals + 1));
    if (!value) return false;
    if (bit == kLimit) return read_limit(rules_, *value, &query_.limit);
    if (bit == kCursor) {
      cursor_ = std::move(*value);
      return true;
    }
    query_.prefix = std::move(*value);
    return query_.prefix.size() <= rules_.max_prefix_bytes && rules_.max_prefix_bytes > 0 &&
           simdjson::validate_utf8(query_.prefix);
  }

  const PageRules& rules_;
  PageQuery query_;
  std::string cursor_;
  unsigned seen_ = 0;
};

}  // namespace

std::variant<PageQuery, ApiError> parse_page_query(const PageRules& rules, std::string_view query,
                                                   std::string_view name) {
  Parser parser(rules);
  if (!parser.read(query) || !parser.finish(name))
    return ApiError{400, "bad_request", allowed_text(rules)};
  return parser.take();
}

}  // namespace holdfast::api
