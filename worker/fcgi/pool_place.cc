// Where a request goes: server, connection or queue; and which connections stay.
#include <algorithm>

#include "worker/fcgi/pool_impl.h"

namespace holdfast::fcgi {
namespace {

constexpr unsigned kPlacedPerTurn = 256;

}  // namespace

// Puts the exchange on a connection; false, and the exchange stays, where none is free.
bool Pool::Impl::place(ExchangePtr& exchange) {
  size_t server = choice_.best(now_ms(), exchange->avoid);
  Connection* idle = rested_idle(server, {});
  if (idle != nullptr) return carry(*idle, exchange), true;
  // One that still rests makes room for a new one, so that no more children are pinned than there
  // are requests.
  idle = oldest_idle(server);
  if (idle == nullptr && connections_.size() >= share_.connections) {
    idle = rested_idle({}, exchange->avoid);
    if (idle != nullptr) return carry(*idle, exchange), true;
    idle = oldest_idle({});
    if (idle == nullptr) return false;
  }
  if (idle != nullptr) retire(*idle, true);
  place_on_new(exchange, server);
  return true;
}

// The idle connection used last, so that those not needed grow old; dead ones are retired on the
// way.
Connection* Pool::Impl::rested_idle(std::optional<size_t> server, std::optional<size_t> avoid) {
  uint64_t now = now_ms();
  while (true) {
    Connection* best = nullptr;
    for (const auto& connection : connections_) {
      if (connection->state() != Connection::State::idle) continue;
      if (server && connection->server() != *server) continue;
      if (connection->server() == avoid) continue;
      if (now < connection->idle_since_ms() + kRestMs) continue;
      if (best == nullptr || connection->idle_since_ms() > best->idle_since_ms()) {
        best = connection.get();
      }
    }
    if (best == nullptr || best->still_open()) return best;
    retire(*best);
  }
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
  connection.open(std::move(exchange), wants_kept(), now_ms());
}

void Pool::Impl::carry(Connection& connection, ExchangePtr& exchange) {
  choice_.taken(connection.server());
  ++carried_;
  count_sent(*exchange);
  connection.carry(std::move(exchange), wants_kept(), now_ms());
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

bool Pool::Impl::wants_kept() const {
  return keep_ && !others_wait_ && queue_.empty();
}

bool Pool::Impl::may_keep(Connection& connection) {
  return wants_kept() && connection.reusable() && now_ms() < connection.born_ms() + kMaxAgeMs &&
         !starves(connection.server());
}

bool Pool::Impl::starves(size_t server) {
  uint64_t now = now_ms();
  for (const auto& connection : connections_) {
    if (connection->server() == server && connection->starves(now)) return true;
  }
  return false;
}

void Pool::Impl::close_idle(bool all) {
  std::vector<bool> starving(servers_.size(), all);
  for (size_t server = 0; server < starving.size() && !all; ++server)
    starving[server] = starves(server);
  std::vector<Connection*> old;
  for (const auto& connection : connections_) {
    if (connection->state() != Connection::State::idle) continue;
    if (starving[connection->server()] || now_ms() >= connection->born_ms() + kMaxAgeMs) {
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
