// Where a request goes: server, connection or queue; and which connections stay.
#include <algorithm>
#include <utility>

#include "worker/backends/fcgi/pool_impl.h"

namespace holdfast::fcgi {
namespace {

constexpr unsigned kPlacedPerTurn = 256;
// That all children were busy is remembered for so long.
constexpr uint64_t kCrowdedMs = 100;
// TCP: no connection is kept for so long after a request on a kept one had no answer.
constexpr uint64_t kDistrustMs = 10'000;

}  // namespace

// Puts the exchange on a connection; false, and the exchange stays, where none is free.
bool Pool::Impl::place(ExchangePtr& exchange) {
  size_t server = choice_.best(now_ms(), exchange->avoid);
  bool may_wait = queue_.size() < share_.queue;
  Connection* idle = ready_idle(server, {});
  if (idle == nullptr && may_wait && crowded(server)) {
    std::optional<size_t> other = choice_.best_ready(now_ms(), server);
    if (!other || other == exchange->avoid || crowded(*other)) return watch_resting(), false;
    server = *other;
    idle = ready_idle(server, {});
  }
  if (idle != nullptr) return carry(*idle, exchange), true;
  // One that still rests makes room for a new one, so that no more children are pinned than there
  // are requests.
  idle = oldest_idle(server);
  bool full = connections_.size() >= share_.connections;
  if (idle == nullptr && full) {
    idle = ready_idle({}, exchange->avoid);
    if (idle != nullptr) return carry(*idle, exchange), true;
    idle = oldest_idle({});
    if (idle == nullptr) return false;
  }
  bool worth_it = full || now_ms() < seen(server).crowded_until_ms;
  if (worth_it && may_wait && one_is_ready_soon()) return watch_resting(), false;
  if (idle != nullptr) {
    if (idle->shows_reading() && !idle->all_read()) stats_.backend_unread.add();
    retire(*idle, true);
  }
  place_on_new(exchange, server);
  return true;
}

// The idle connection used last that may be used, so that those not needed grow old; dead ones are
// retired on the way.
Connection* Pool::Impl::ready_idle(std::optional<size_t> server, std::optional<size_t> avoid) {
  while (true) {
    Connection* best = nullptr;
    for (const auto& connection : connections_) {
      if (connection->state() != Connection::State::idle) continue;
      if (server && connection->server() != *server) continue;
      if (connection->server() == avoid) continue;
      if (best != nullptr && connection->idle_since_ms() <= best->idle_since_ms()) continue;
      if (is_ready(*connection)) best = connection.get();
    }
    // After is_ready(): a child that ends shuts its output first, and reads what is left then.
    if (best == nullptr || best->still_open()) return best;
    retire(*best);
  }
}

bool Pool::Impl::is_ready(const Connection& connection) {
  bool rested = now_ms() >= connection.idle_since_ms() + kRestMs;
  if (!connection.shows_reading()) return rested;
  return (rested || seen(connection.server()).lazy) && connection.all_read();
}

// Unix: of those to the server that no child has accepted yet the oldest, as far as we can see.
Connection* Pool::Impl::longest_starving(size_t server) {
  uint64_t now = now_ms();
  for (const auto& connection : connections_)
    if (connection->server() == server && connection->starves(now)) return connection.get();
  return nullptr;
}

// Unix: all children are busy, and one connection waits for them already: another request is better off in our queue,
// from where it gets the first connection that is ready.
bool Pool::Impl::crowded(size_t server) {
  if (!shows_reading(server)) return false;
  Connection* first = longest_starving(server);
  if (first == nullptr) return false;
  uint64_t now = now_ms();
  if (now >= first->began_ms() + kAcceptMs) seen(server).crowded_until_ms = now + kCrowdedMs;
  if (now >= seen(server).crowded_until_ms) return false;
  first->call_when_read();  // then there is room for another
  return true;
}

bool Pool::Impl::one_is_ready_soon() {
  uint64_t now = now_ms();
  return std::any_of(connections_.begin(), connections_.end(), [&](const auto& connection) {
    return connection->state() == Connection::State::idle && seen(connection->server()).lazy &&
           now < connection->idle_since_ms() + backend_.keep_alive_patience_ms;
  });
}

void Pool::Impl::watch_resting() {
  for (const auto& connection : connections_)
    if (connection->state() == Connection::State::idle && connection->shows_reading())
      connection->call_when_read();
}

Connection* Pool::Impl::oldest_idle(std::optional<size_t> server) {
  Connection* oldest = nullptr;
  for (const auto& connection : connections_) {
    if (connection->state() != Connection::State::idle) continue;
    if (server && connection->server() != *server) continue;
    if (oldest == nullptr || connection->born_ms() < oldest->born_ms()) oldest = connection.get();
  }
  return oldest;
}

void Pool::Impl::place_on_new(ExchangePtr& exchange, size_t server) {
  connections_.push_back(std::make_unique<Connection>(shared_, server));
  Connection& connection = *connections_.back();
  choice_.taken(server);
  ++carried_;
  connection.open(std::move(exchange), wants_kept(server), now_ms());
}

void Pool::Impl::carry(Connection& connection, ExchangePtr& exchange) {
  choice_.taken(connection.server());
  ++carried_;
  count_sent(*exchange);
  connection.carry(std::move(exchange), wants_kept(connection.server()), now_ms());
}

ExchangePtr Pool::Impl::take_from(Connection& connection) {
  choice_.released(connection.server());
  --carried_;
  return connection.take_exchange();
}

// A server that refuses at once would have this call itself for each request of the queue, hence
// the flag.
void Pool::Impl::run_queue() {
  if (running_queue_) return;
  running_queue_ = true;
  for (unsigned n = 0; n < kPlacedPerTurn && !queue_.empty(); ++n) {
    ExchangePtr exchange = std::move(queue_.front());
    queue_.pop_front();
    stats_.backend_queued.sub();
    if (!place(exchange)) {
      put_back(std::move(exchange));
      break;
    }
  }
  running_queue_ = false;
}

// To the front, for it is older than all others (I4).
void Pool::Impl::put_back(ExchangePtr exchange) {
  queue_.push_front(std::move(exchange));
  stats_.backend_queued.add();
}

bool Pool::Impl::shows_reading(size_t server) const {
  return servers_[server].address.is_unix() && shared_.unix_terminator_bytes > 0;
}

// Where it cannot be seen when a kept connection is ready, a new one is safe at once.
bool Pool::Impl::wants_kept(size_t server) {
  if (!keep_ || !backend_.keep_alive || others_wait_) return false;
  return shows_reading(server) || (queue_.empty() && now_ms() >= seen(server).distrusted_until_ms);
}

bool Pool::Impl::may_keep(Connection& connection) {
  return wants_kept(connection.server()) && connection.reusable() &&
         now_ms() < connection.born_ms() + kMaxAgeMs && !release_for_starving(connection.server());
}

void Pool::Impl::rest(Connection& connection) {
  connection.rest(now_ms());
  Seen& server = seen(connection.server());
  if (!server.lazy && connection.shows_reading()) server.lazy = !connection.all_read();
}

bool Pool::Impl::starves(size_t server) {
  Connection* first = longest_starving(server);
  return first != nullptr && (!shows_reading(server) || now_ms() >= first->began_ms() + kTurnMs);
}

// Unix: not more at once than there are that starve.
bool Pool::Impl::release_for_starving(size_t server) {
  if (!starves(server)) return false;
  if (!shows_reading(server)) return true;
  uint64_t now = now_ms();
  Seen& s = seen(server);
  if (std::exchange(s.released_ms, now) != now) s.released = 0;
  auto starving = std::count_if(connections_.begin(), connections_.end(), [&](const auto& c) {
    return c->server() == server && c->starves(now);
  });
  return s.released++ < unsigned(starving);
}

// A script that works on after its answer keeps its child, and on TCP nobody sees it: the next request on that
// connection waits for it. It is not lost for that, but no other shall follow it.
void Pool::Impl::watch_for_late() {
  for (const auto& connection : connections_) {
    if (connection->shows_reading()) continue;
    if (!connection->is_late(last_tick_ms_, backend_.keep_alive_patience_ms)) continue;
    if (seen(connection->server()).distrusted_until_ms < last_tick_ms_)
      log_info(
          "backend connections not kept for a while backend={} server={}: a kept one does not "
          "answer",
          backend_.name, server_name(connection->server()));
    seen(connection->server()).distrusted_until_ms = last_tick_ms_ + kDistrustMs;
  }
}

void Pool::Impl::close_idle(bool all) {
  uint64_t now = now_ms();
  std::vector<bool> starving(servers_.size(), all);
  for (size_t server = 0; server < starving.size() && !all; ++server)
    starving[server] = starves(server) || now < seen(server).distrusted_until_ms;
  std::vector<Connection*> old;
  for (const auto& connection : connections_) {
    if (connection->state() != Connection::State::idle) continue;
    if (starving[connection->server()] || now >= connection->born_ms() + kMaxAgeMs) {
      old.push_back(connection.get());
    }
  }
  for (Connection* connection : old) retire(*connection, true);
}

void Pool::Impl::retire(Connection& connection, bool answered) {
  connection.close(answered);
  auto it = std::find_if(connections_.begin(), connections_.end(),
                         [&](const auto& owned) { return owned.get() == &connection; });
  loop_.defer_delete(std::move(*it));
  connections_.erase(it);
}

}  // namespace holdfast::fcgi
