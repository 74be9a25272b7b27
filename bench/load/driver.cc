#include "bench/load/driver.h"

#include <time.h>

#include "base/clock.h"
#include "bench/load/arena.h"
#include "bench/load/client_group.h"

namespace holdfast::bench {
namespace {

constexpr uint64_t kConnectSlackNs = 60'000'000'000;
constexpr uint64_t kSlackPerConnectionNs = 200'000;
constexpr uint64_t kDrainLimitNs = 30'000'000'000;
constexpr uint64_t kCloseLimitNs = 60'000'000'000;

double seconds(uint64_t ns) {
  return double(ns) / 1e9;
}

void pause_until(uint64_t at_ns) {
  for (uint64_t now = monotonic_ns(); now < at_ns; now = monotonic_ns()) {
    timespec left{.tv_sec = time_t((at_ns - now) / 1'000'000'000),
                  .tv_nsec = long((at_ns - now) % 1'000'000'000)};
    nanosleep(&left, nullptr);
  }
}

class Driver {
 public:
  Driver(const Options& options, const Arena& arena, ClientGroup& clients)
      : options_(options), arena_(arena), clients_(clients) {}

  Result<Measured> run() {
    if (Result<void> looked = look(&measured_.before); !looked) return looked.error();
    if (Result<void> connected = connect(); !connected) return connected.error();
    bool any = measured_.totals.connected > 0;
    if (any && options_.scenario != Scenario::connect)
      if (Result<void> loaded = load(); !loaded) return loaded.error();
    if (Result<void> closed = finish(); !closed) return closed.error();
    return std::move(measured_);
  }

 private:
  // Usage now, where it was asked for.
  Result<void> look(std::optional<Usage>* at) {
    if (options_.server_pid == 0) return {};
    Result<Usage> usage = usage_of_tree(options_.server_pid);
    if (!usage) return usage.error();
    *at = *usage;
    return {};
  }

  uint64_t connect_limit_ns() const {
    uint64_t limit = kConnectSlackNs + kSlackPerConnectionNs * options_.connections;
    if (options_.connect_rate > 0)
      limit += uint64_t(1e9 * options_.connections / options_.connect_rate);
    return limit;
  }
  // Clients that come back connect once more.
  uint64_t drain_limit_ns() const {
    if (options_.scenario != Scenario::resume) return kDrainLimitNs;
    return connect_limit_ns() + uint64_t(options_.away_s * 1e9);
  }

  Result<void> connect() {
    uint64_t began = monotonic_ns();
    clients_.enter(Phase::connect);
    if (Result<void> r = clients_.wait_reached(Phase::connect, connect_limit_ns()); !r) return r;
    measured_.connect_s = seconds(monotonic_ns() - began);
    measured_.totals = clients_.totals();
    return look(&measured_.connected);
  }

  Result<void> load() {
    uint64_t began = monotonic_ns();
    clients_.enter(Phase::load);
    if (options_.publishes())
      publish();
    else if (options_.scenario != Scenario::resume)
      pause_until(began + uint64_t(options_.duration_s * 1e9));
    clients_.enter(Phase::drain);
    if (Result<void> r = clients_.wait_reached(Phase::drain, drain_limit_ns()); !r) return r;
    if (options_.scenario == Scenario::echo) clients_.wait_received(clients_.totals().sent);
    if (options_.publishes()) clients_.wait_received(measured_.published.delivered);
    uint64_t last = clients_.totals().last_arrival_ns;
    bool silent = options_.scenario == Scenario::idle || options_.scenario == Scenario::resume;
    measured_.load_s = seconds((silent || last < began ? monotonic_ns() : last) - began);
    return look(&measured_.loaded);
  }

  // What goes wrong here is told with what was measured until then.
  void publish() {
    Result<Publisher> publisher = Publisher::open(options_, arena_);
    if (!publisher) return note(publisher.error());
    std::optional<ReloadRun> reloads;
    if (const SilenceBoard* silences = arena_.silences())
      reloads.emplace(options_.handover, *silences);
    if (Result<void> ran = publisher->run(); !ran) note(ran.error());
    if (reloads) measured_.handover = reloads->finish();
    measured_.published = publisher->published();
  }

  Result<void> finish() {
    clients_.enter(Phase::close);
    if (Result<void> r = clients_.wait_reached(Phase::close, kCloseLimitNs); !r) return r;
    measured_.totals = clients_.totals();
    clients_.merge_histograms(measured_);
    return {};
  }

  void note(const Error& error) { measured_.trouble = error.text(); }

  const Options& options_;
  const Arena& arena_;
  ClientGroup& clients_;
  Measured measured_;
};

}  // namespace

uint64_t Measured::undelivered() const {
  return published.delivered > totals.received ? published.delivered - totals.received : 0;
}

bool Measured::good(const Options& options) const {
  bool all_there =
      totals.connected == options.connections && totals.closed_early == 0 && totals.broken == 0;
  bool all_right = totals.missing == 0 && totals.duplicates == 0 && totals.reordered == 0 &&
                   totals.misdirected == 0 && totals.malformed == 0 && undelivered() == 0;
  bool reloaded = options.scenario != Scenario::handover || (handover && handover->good());
  bool came_back = options.scenario != Scenario::resume || totals.resumed == options.connections;
  return trouble.empty() && reloaded && came_back && all_there && all_right &&
         published.failures == 0;
}

Result<Measured> measure(const Options& options) {
  Result<Arena> arena = Arena::make(options);
  if (!arena) return arena.error();
  Result<ClientGroup> clients = ClientGroup::start(options, *arena);
  if (!clients) return clients.error();
  return Driver(options, *arena, *clients).run();
}

}  // namespace holdfast::bench
