// [[channel]]: what holds for messages published to channels of a pattern.
#include <algorithm>

#include "base/names.h"
#include "conf/read.h"

namespace holdfast::conf {
namespace {

constexpr size_t kMaxRules = 64;     // each is tried when a channel gets its first member
constexpr size_t kMaxPattern = 255;  // as long as a channel's name

void read_pattern(Table& table, std::vector<ChannelRule>& rules, ChannelRule& rule) {
  if (!table.has("pattern")) return table.missing("pattern", "a channel's name, * for any bytes");
  if (!table.text("pattern", rule.pattern)) return;
  bool known = std::any_of(rules.begin(), rules.end(), [&](const ChannelRule& other) {
    return &other != &rule && other.pattern == rule.pattern;
  });
  if (rule.pattern.empty() || rule.pattern.size() > kMaxPattern ||
      has_control_character(rule.pattern))
    table.wrong("pattern", "no pattern of channel names",
                "1 to 255 bytes without control characters");
  else if (known)
    table.wrong("pattern", "twice in [[channel]]",
                "each pattern once: the first that matches counts");
}

}  // namespace

void read_channel_rules(Table& root, Reading& reading) {
  std::vector<ChannelRule>& rules = reading.config.channels;
  std::vector<Table> tables = root.tables("channel", "[[channel]]");
  if (tables.size() > kMaxRules)
    tables[kMaxRules].wrong("pattern", "too many [[channel]] tables", "at most 64");
  rules.reserve(tables.size());
  for (Table& table : tables) {
    ChannelRule& rule = rules.emplace_back();
    read_pattern(table, rules, rule);
    read_slow_consumer(table, rule.slow_consumer);
    if (!table.has("slow_consumer"))
      table.missing("slow_consumer", "what happens to those who read too slowly");
    table.finish();
  }
}

}  // namespace holdfast::conf
