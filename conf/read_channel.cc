// [[channel]]: what holds for messages published to channels of a pattern.
#include <algorithm>

#include "base/names.h"
#include "conf/read.h"

namespace holdfast::conf {
namespace {

constexpr size_t kMaxRules = 64;  // each is tried when a channel gets its first member
// A shard (shm/stream_shard.h) has room for two such channels.
constexpr size_t kMaxHistoryBytes = 2 * 1024 * 1024;
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

void read_history(Table& table, ChannelRule& rule) {
  table.number("history_size", rule.history_size, {0, 1'000'000});
  table.duration("history_ttl", rule.history_ttl_ms, {0, 30 * 24 * kHour});
  table.size("history_bytes", rule.history_bytes, {1024, kMaxHistoryBytes});
}

void read_permits(Table& table, ChannelRule& rule) {
  if (table.has("subscribe"))
    table.choice<Subscribe>("subscribe", rule.subscribe.emplace(Subscribe::nobody),
                            {{"nobody", Subscribe::nobody},
                             {"anyone", Subscribe::anyone},
                             {"token", Subscribe::token},
                             {"backend", Subscribe::backend}});
  if (table.has("publish"))
    table.choice<ClientPublish>(
        "publish", rule.publish.emplace(ClientPublish::nobody),
        {{"nobody", ClientPublish::nobody}, {"members", ClientPublish::members}});
}

// A rule that asks an application which was not told to expect that would keep everybody out.
void check_permits(Table& table, const ChannelRule& rule, const Config& config) {
  bool asked = std::any_of(config.backends.begin(), config.backends.end(),
                           [](const auto& named) { return named.second.event_subscribe; });
  if (rule.subscribe == Subscribe::backend && !asked)
    table.wrong("subscribe", "no [backend] has \"subscribe\" among its events",
                "a back end with events = [\"connect\", \"close\", \"subscribe\"]");
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
    if (table.has("slow_consumer"))
      read_slow_consumer(table, rule.slow_consumer.emplace(SlowConsumer::close));
    read_history(table, rule);
    read_permits(table, rule);
    check_permits(table, rule, reading.config);
    if (!rule.slow_consumer && !table.has("history_size") && !rule.subscribe && !rule.publish)
      table.missing(
          "slow_consumer",
          "what happens to those who read too slowly, or history_size, subscribe, publish");
    table.finish();
  }
}

}  // namespace holdfast::conf
