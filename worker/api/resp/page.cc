#include "worker/api/resp/page.h"

#include <fmt/format.h>

#include <charconv>

namespace holdfast::api {
namespace {

struct Given {
  std::optional<std::string_view> cursor, count, prefix;
};

// Where the value of this option goes; null where there is no such option.
std::optional<std::string_view>* place_of(std::string_view option, const PageRules& rules,
                                          Given* given) {
  if (same_word(option, "CURSOR")) return &given->cursor;
  if (same_word(option, "COUNT")) return &given->count;
  if (same_word(option, "PREFIX") && rules.max_prefix_bytes > 0) return &given->prefix;
  return nullptr;
}

bool take_count(std::string_view text, const PageRules& rules, uint32_t* count) {
  auto [end, failed] = std::from_chars(text.data(), text.data() + text.size(), *count);
  return failed == std::errc() && end == text.data() + text.size() && *count >= rules.min_limit &&
         *count <= rules.max_limit;
}

}  // namespace

std::variant<PageQuery, std::string> parse_page_options(const PageRules& rules,
                                                        resp::Arguments options,
                                                        std::string_view name) {
  Given given;
  for (size_t i = 0; i < options.size(); i += 2) {
    std::optional<std::string_view>* place = place_of(options[i], rules, &given);
    if (place == nullptr || *place || i + 1 == options.size())
      return fmt::format("ERR syntax error: allowed are CURSOR c, COUNT n{}, each once",
                         rules.max_prefix_bytes > 0 ? ", PREFIX p" : "");
    *place = options[i + 1];
  }
  PageQuery query{.limit = rules.default_limit};
  if (given.count && !take_count(*given.count, rules, &query.limit))
    return fmt::format("ERR COUNT must be a whole number from {} to {}", rules.min_limit,
                       rules.max_limit);
  query.prefix = given.prefix.value_or("");
  if (query.prefix.size() > rules.max_prefix_bytes)
    return fmt::format("ERR PREFIX must have at most {} bytes", rules.max_prefix_bytes);
  if (given.cursor && *given.cursor != kNoCursor) {
    query.after = read_cursor({rules.kind, name.empty() ? query.prefix : name}, *given.cursor);
    if (!query.after) return "ERR CURSOR is none that this list has answered";
  }
  return query;
}

}  // namespace holdfast::api
