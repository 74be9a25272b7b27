// [server], [log] and [limits].
#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <bit>
#include <cstdlib>

#include "base/cgroup.h"
#include "conf/read.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

// The sockets in it must fit sockaddr_un::sun_path (108 bytes with the NUL).
constexpr size_t kMaxRuntimeDir = 90;

bool only_of(std::string_view text, std::string_view allowed) {
  return text.find_first_not_of(allowed) == text.npos;
}

std::string default_runtime_dir(const std::string& instance) {
  if (geteuid() == 0) return "/run/" + instance;
  const char* xdg = std::getenv("XDG_RUNTIME_DIR");
  if (xdg != nullptr && xdg[0] == '/') return fmt::format("{}/{}", xdg, instance);
  return fmt::format("/tmp/{}-{}", instance, geteuid());
}

void read_instance(Table& table, Server& server) {
  std::string instance;
  if (!table.text("instance", instance)) return;
  bool fits = !instance.empty() && instance.size() <= 32 &&
              only_of(instance, "abcdefghijklmnopqrstuvwxyz0123456789_-");
  if (fits) {
    server.instance = instance;
  } else {
    table.wrong("instance", "not a name", "1 to 32 of a-z, 0-9, _ and -");
  }
}

void read_user(Table& table, Server& server) {
  std::string user;
  if (!table.text("user", user)) return;
  bool fits = user.size() <= 32 && !user.starts_with('-') &&
              only_of(user, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.-$");
  if (fits) {
    server.user = user;
  } else {
    table.wrong("user", "not a user name", "a user of this machine, or \"\" for no change");
  }
}

void read_runtime_dir(Table& table, Server& server) {
  bool given = table.has("runtime_dir");
  if (!read_absolute(table, "runtime_dir", server.runtime_dir)) {
    server.runtime_dir = default_runtime_dir(server.instance);
  }
  while (server.runtime_dir.size() > 1 && server.runtime_dir.ends_with('/')) {
    server.runtime_dir.pop_back();
  }
  if (server.runtime_dir.size() <= kMaxRuntimeDir) return;
  table.wrong(
      "runtime_dir", given ? "too long" : "the default is too long here",
      fmt::format("at most {} bytes, for a socket's path must fit behind it", kMaxRuntimeDir));
}

// A reload runs the old workers and the new ones at once, so at most half of the slots are for one
// generation.
void read_workers(Table& table, Server& server) {
  table.number("max_workers", server.max_workers, {2, 256});
  unsigned most = server.max_workers / 2;
  server.workers = std::clamp(usable_cpus(), 1u, most);
  const Node* value = table.find("workers");
  if (value == nullptr || (value->kind == Node::Kind::string && value->text == "auto")) return;
  std::string allowed = fmt::format("\"auto\", or 1 to {} (half of max_workers)", most);
  if (value->kind != Node::Kind::integer) {
    table.wrong("workers", "neither a number nor \"auto\"", allowed);
  } else if (value->number < 1 || value->number > int64_t(most)) {
    table.wrong("workers", "out of range", allowed);
  } else {
    server.workers = unsigned(value->number);
  }
}

// Room for two of the largest messages with their heads and recipients.
size_t smallest_mailbox(size_t max_message_size) {
  return 2 * (max_message_size + 64 * kKiB);
}

size_t default_mailbox(size_t max_message_size) {
  return std::bit_ceil(std::max(256 * kKiB, 4 * max_message_size + 128 * kKiB));
}

void read_mailbox(Table& table, Config& config) {
  Limits& limits = config.limits;
  size_t wanted = 0;
  bool given = table.size("mailbox_size", wanted, {0, 2 * kGiB}) && wanted != 0;
  size_t least = std::bit_ceil(smallest_mailbox(limits.max_message_size));
  if (given && (!std::has_single_bit(wanted) || wanted < least)) {
    table.wrong(
        "mailbox_size",
        std::has_single_bit(wanted) ? "too small for max_message_size" : "not a power of two",
        fmt::format("0 (chosen to fit), or a power of two of at least {}", format_size(least)));
    given = false;
  }
  limits.mailbox_size = given ? wanted : default_mailbox(limits.max_message_size);

  // One ring per ordered pair of workers. Untouched pages cost no memory, but address space is
  // finite too.
  uint64_t rings = uint64_t(config.server.max_workers) * config.server.max_workers;
  if (rings * limits.mailbox_size <= 1024 * kGiB) return;
  table.wrong(
      table.has("mailbox_size") ? "mailbox_size" : "max_message_size",
      fmt::format("{} mailboxes of {} are too much", rings, format_size(limits.mailbox_size)),
      "max_workers x max_workers x mailbox_size of at most 1024 GiB");
}

// Session indexes are 32 bits wide, and every slot's slab can hold all sessions.
void read_max_sessions(Table& table, Config& config) {
  Limits& limits = config.limits;
  table.number("max_sessions", limits.max_sessions, {1, 100'000'000});
  uint64_t product = uint64_t(config.server.max_workers) * limits.max_sessions;
  if (product < uint64_t(1) << 32) return;
  table.wrong("max_sessions",
              fmt::format("max_workers x max_sessions = {} x {} is too much",
                          config.server.max_workers, limits.max_sessions),
              fmt::format("up to {} with this max_workers",
                          ((uint64_t(1) << 32) - 1) / config.server.max_workers));
}

void read_filter_buckets(Table& table, Limits& limits) {
  unsigned buckets = limits.filter_buckets;
  if (!table.number("filter_buckets", buckets, {64, 1 << 24})) return;
  if (std::has_single_bit(buckets)) {
    limits.filter_buckets = buckets;
  } else {
    table.wrong("filter_buckets", "not a power of two", "a power of two from 64 to 16777216");
  }
}

void read_idempotency_keys(Table& table, Limits& limits) {
  unsigned keys = limits.idempotency_keys;
  if (!table.number("idempotency_keys", keys, {0, 1 << 24})) return;
  if (keys == 0 || (std::has_single_bit(keys) && keys >= 64)) {
    limits.idempotency_keys = keys;
  } else {
    table.wrong("idempotency_keys", std::has_single_bit(keys) ? "too few" : "not a power of two",
                "0 (none are taken), or a power of two from 64 to 16777216");
  }
}

// One message of the largest size must fit.
void read_byte_rate(Table& table, Limits& limits) {
  size_t rate = 0;
  if (!table.size("byte_rate", rate, {0, 64 * kGiB})) return;
  if (rate != 0 && rate < limits.max_message_size)
    return table.wrong(
        "byte_rate", "less than one message of max_message_size",
        fmt::format("0 (no limit), or at least {}", format_size(limits.max_message_size)));
  limits.byte_rate = rate;
}

// In whole shards.
void read_history_memory(Table& table, Limits& limits) {
  constexpr size_t kShard = 4 * kMiB;  // shm::kShardBytes
  if (!table.size("history_memory", limits.history_memory, {0, 64 * kGiB})) return;
  limits.history_memory = (limits.history_memory + kShard - 1) / kShard * kShard;
}

}  // namespace

void read_server(Table& root, Reading& reading) {
  Server& server = reading.config.server;
  static const Node kNothing;
  Table table =
      root.table("server", "[server]").value_or(Table(kNothing, "server", reading.report));
  read_instance(table, server);
  read_workers(table, server);
  read_runtime_dir(table, server);
  read_user(table, server);
  if (reading.machine == Machine::ours) check_user(table, server.user);
  table.number("node_id", server.node_id, {1, 65'535});
  table.duration("drain_timeout", server.drain_timeout_ms, {0, 24 * kHour});
  table.duration("stop_timeout", server.stop_timeout_ms, {0, kHour});
  table.duration("tls_ticket_lifetime", server.tls_ticket_lifetime_ms, {0, 7 * 24 * kHour});
  read_tls_groups(table, server);
  table.choice<Seccomp>("seccomp", server.seccomp,
                        {{"on", Seccomp::on}, {"log", Seccomp::log}, {"off", Seccomp::off}});
  table.boolean("core_dumps", server.core_dumps);
  table.duration("hang_timeout", server.hang_timeout_ms, {100, kHour});
  table.finish();
}

void read_log(Table& root, Reading& reading) {
  std::optional<Table> table = root.table("log", "[log]");
  if (!table) return;
  LogSettings& log = reading.config.log;
  table->choice<LogLevel>("level", log.level,
                          {{"trace", LogLevel::trace},
                           {"debug", LogLevel::debug},
                           {"info", LogLevel::info},
                           {"warn", LogLevel::warn},
                           {"error", LogLevel::error}});
  std::string target;
  if (table->text("target", target)) {
    if (target.empty()) table->wrong("target", "empty", "\"stderr\" or a file's path");
    log.target = target == "stderr" || target.empty() ? "stderr" : reading.resolve(target);
    if (reading.machine == Machine::ours) check_log_target(*table, log.target);
  }
  table->choice<bool>("format", log.json, {{"text", false}, {"json", true}});
  table->finish();
}

void read_limits(Table& root, Reading& reading) {
  Limits& limits = reading.config.limits;
  static const Node kNothing;
  Table table =
      root.table("limits", "[limits]").value_or(Table(kNothing, "limits", reading.report));
  read_max_sessions(table, reading.config);
  table.size("max_message_size", limits.max_message_size, {1, 256 * kMiB});
  table.size("max_header_size", limits.max_header_size, {256, kMiB});
  table.number("max_headers", limits.max_headers, {1, 10'000});
  table.duration("handshake_timeout", limits.handshake_timeout_ms, {1, kHour});
  table.number("max_channels_per_session", limits.max_channels_per_session, {1, 100'000});
  read_mailbox(table, reading.config);
  table.size("mailbox_overflow", limits.mailbox_overflow, {0, 64 * kGiB});
  read_filter_buckets(table, limits);
  read_idempotency_keys(table, limits);
  read_history_memory(table, limits);
  table.number("max_connections_per_ip", limits.max_connections_per_ip, {0, 100'000'000});
  table.number("connect_rate_per_ip", limits.connect_rate_per_ip, {0, 10'000});
  table.number("message_rate", limits.message_rate, {0, 1'000'000});
  read_byte_rate(table, limits);
  table.number("max_tls_handshakes", limits.max_tls_handshakes, {1, 10'000'000});
  table.number("max_tls_handshakes_per_ip", limits.max_tls_handshakes_per_ip, {1, 10'000'000});
  table.size("max_pending_bytes", limits.max_pending_bytes, {1, 64 * kGiB});
  table.size("max_pending_bytes_per_worker", limits.max_pending_bytes_per_worker, {1, 1024 * kGiB});
  table.size("max_unsent_per_worker", limits.max_unsent_per_worker, {0, 1024 * kGiB});
  table.finish();
}

}  // namespace holdfast::conf
