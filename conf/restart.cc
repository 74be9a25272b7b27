// What a reload cannot change: the sizes of the segment, what names it, and who we are.
#include <fmt/format.h>

#include "conf/load.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

std::string quoted(const std::string& text) {
  return fmt::format("\"{}\"", text);
}

class Differences {
 public:
  void compare(std::string_view key, const std::string& running, const std::string& wanted) {
    if (running != wanted) found_.push_back(fmt::format("{}: {} -> {}", key, running, wanted));
  }
  void compare(std::string_view key, unsigned running, unsigned wanted) {
    compare(key, std::to_string(running), std::to_string(wanted));
  }
  std::vector<std::string> take() { return std::move(found_); }

 private:
  std::vector<std::string> found_;
};

}  // namespace

std::vector<std::string> needs_restart(const Config& running, const Config& wanted) {
  Differences differences;
  const Server& from = running.server;
  const Server& to = wanted.server;
  differences.compare("server.instance", quoted(from.instance), quoted(to.instance));
  differences.compare("server.max_workers", from.max_workers, to.max_workers);
  differences.compare("server.runtime_dir", quoted(from.runtime_dir), quoted(to.runtime_dir));
  differences.compare("server.user", quoted(from.user), quoted(to.user));
  differences.compare("server.node_id", from.node_id, to.node_id);
  const Limits& old = running.limits;
  const Limits& now = wanted.limits;
  differences.compare("limits.max_sessions", old.max_sessions, now.max_sessions);
  // The rings may be larger than a new configuration needs, not smaller.
  if (now.mailbox_size > old.mailbox_size)
    differences.compare("limits.mailbox_size", format_size(old.mailbox_size),
                        format_size(now.mailbox_size));
  differences.compare("limits.filter_buckets", old.filter_buckets, now.filter_buckets);
  differences.compare("limits.idempotency_keys", old.idempotency_keys, now.idempotency_keys);
  if (old.history_memory != now.history_memory)
    differences.compare("limits.history_memory", format_size(old.history_memory),
                        format_size(now.history_memory));
  return differences.take();
}

}  // namespace holdfast::conf
