#include "worker/api/resp/info.h"

#include <fmt/format.h>
#include <unistd.h>

#include <iterator>
#include <vector>

#include "base/clock.h"
#include "worker/api/resp/handlers.h"

namespace holdfast::api {
namespace {

uint64_t total(const shm::Segment& segment, shm::Cell shm::StatsBlock::*cell) {
  uint64_t sum = 0;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    sum += (segment.stats(slot).*cell).get();
  return sum;
}

void write_server(std::string& out, const ApiContext& context) {
  const shm::Segment& segment = *context.segment;
  uint64_t started_ms = segment.header().started_wall_ms.load();
  uint64_t now_ms = wall_ms();
  uint64_t up_s = now_ms > started_ms ? (now_ms - started_ms) / 1000 : 0;
  fmt::format_to(std::back_inserter(out),
                 "redis_version:{}\r\nredis_mode:standalone\r\nholdfast_version:{}\r\n"
                 "arch_bits:64\r\nmultiplexing_api:epoll\r\nprocess_id:{}\r\ntcp_port:{}\r\n"
                 "uptime_in_seconds:{}\r\nuptime_in_days:{}\r\n",
                 kRedisVersion, HOLDFAST_VERSION, getpid(), context.api->address.port(), up_s,
                 up_s / 86'400);
}

void write_clients(std::string& out, const ApiContext& context) {
  const shm::Segment& segment = *context.segment;
  fmt::format_to(
      std::back_inserter(out), "connected_clients:{}\r\nmaxclients:{}\r\npubsub_clients:{}\r\n",
      total(segment, &shm::StatsBlock::connections_open), context.config->limits.max_sessions,
      total(segment, &shm::StatsBlock::resp_subscribers));
}

void write_persistence(std::string& out, const ApiContext&) {
  out += "loading:0\r\n";
}

void write_replication(std::string& out, const ApiContext&) {
  out += "role:master\r\nconnected_slaves:0\r\n";
}

void write_stats(std::string& out, const ApiContext& context) {
  const shm::Segment& segment = *context.segment;
  fmt::format_to(std::back_inserter(out),
                 "total_connections_received:{}\r\ntotal_commands_processed:{}\r\n"
                 "pubsub_channels:{}\r\npubsub_patterns:{}\r\n",
                 total(segment, &shm::StatsBlock::connections_accepted),
                 total(segment, &shm::StatsBlock::api_requests),
                 total(segment, &shm::StatsBlock::channels_local),
                 total(segment, &shm::StatsBlock::resp_patterns));
}

void write_holdfast(std::string& out, const ApiContext& context) {
  for (const shm::StatInfo& info : shm::all_stats())
    fmt::format_to(std::back_inserter(out), "{}:{}\r\n", info.name,
                   shm::sum(*context.segment, info));
}

struct Section {
  std::string_view name;
  void (*write)(std::string& out, const ApiContext& context);
};
constexpr Section kSections[] = {
    {"Server", write_server},           {"Clients", write_clients},
    {"Persistence", write_persistence}, {"Stats", write_stats},
    {"Replication", write_replication}, {"Holdfast", write_holdfast},
};

bool is_wanted(const Section& section, resp::Arguments names) {
  if (names.empty()) return true;
  for (std::string_view name : names)
    if (same_word(name, section.name) || same_word(name, "default") || same_word(name, "all") ||
        same_word(name, "everything"))
      return true;
  return false;
}

struct Named {
  std::string name;
  uint64_t value;
};

// A histogram as its count and two percentiles.
void add_histogram(std::vector<Named>& all, const shm::Segment& segment,
                   const shm::StatInfo& info) {
  std::vector<uint64_t> buckets(shm::Histogram::kBuckets);
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
    for (unsigned b = 0; b < buckets.size(); ++b)
      buckets[b] += histogram_of(segment.stats(slot), info).buckets[b].get();
  std::string name(info.name);
  all.push_back({name + ".count", shm::sum(segment, info)});
  all.push_back({name + ".p50", shm::percentile(buckets, 0.5)});
  all.push_back({name + ".p99", shm::percentile(buckets, 0.99)});
}

}  // namespace

namespace run {

void info(const RespCall& call) {
  std::string text;
  for (const Section& section : kSections) {
    if (!is_wanted(section, call.arguments.subspan(1))) continue;
    if (!text.empty()) text += "\r\n";
    fmt::format_to(std::back_inserter(text), "# {}\r\n", section.name);
    section.write(text, call.context);
  }
  call.answer.send(call.answer.writer().text(text));
}

void stats(const RespCall& call) {
  std::vector<Named> all;
  for (const shm::StatInfo& info : shm::all_stats()) {
    if (info.kind == shm::StatKind::histogram)
      add_histogram(all, *call.context.segment, info);
    else
      all.push_back({std::string(info.name), shm::sum(*call.context.segment, info)});
  }
  resp::ReplyWriter out = call.answer.writer();
  out.map(all.size());
  for (const Named& named : all) out.bulk(named.name).integer(int64_t(named.value));
  call.answer.send(out);
}

}  // namespace run
}  // namespace holdfast::api
