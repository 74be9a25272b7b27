// A pool moves to another process: what is under way with its connection, the rest as it stands.
#include <algorithm>

#include "conf/server_address.h"
#include "worker/backends/fcgi/pool_impl.h"

namespace holdfast::fcgi {

void Pool::Impl::settle() {
  close_idle(true);
  std::vector<Connection*> early;
  for (const auto& connection : connections_)
    if (!connection->under_way()) early.push_back(connection.get());
  std::vector<ExchangePtr> back;
  for (Connection* connection : early) {
    back.push_back(take_from(*connection));
    retire(*connection);
  }
  std::sort(back.begin(), back.end(), [](const ExchangePtr& a, const ExchangePtr& b) {
    return a->submitted_us > b->submitted_us;
  });
  for (ExchangePtr& exchange : back)
    put_back(std::move(exchange));  // the oldest comes to the front  // I4
}

static_assert(sizeof(Answer) == 72);  // whoever adds a member carries it, in AnswerRecord

PoolRecord Pool::Impl::save() const {
  PoolRecord record;
  for (const ExchangePtr& exchange : queue_)
    record.queue.push_back(save_exchange(*exchange, servers_));
  for (const Done& done : done_) {
    const Answer& answer = done.answer;
    record.done.push_back({save_exchange(*done.exchange, servers_),
                           {uint8_t(answer.outcome), answer.status, answer.headers, answer.body,
                            answer.may_have_run}});
  }
  return record;
}

std::vector<std::pair<CarriedRecord, int>> Pool::Impl::carried() const {
  std::vector<std::pair<CarriedRecord, int>> all;
  for (const auto& connection : connections_)
    if (connection->under_way()) all.emplace_back(connection->save(), connection->fd());
  return all;
}

// A server that is configured no more is kept for what is under way there.
size_t Pool::Impl::server_at(const std::string& address) {
  for (size_t i = 0; i < servers_.size(); ++i)
    if (servers_[i].address.text == address) return i;
  std::optional<conf::Address> parsed = conf::parse_server_address(address);
  if (!parsed) return SIZE_MAX;
  servers_.push_back({*std::move(parsed), 0});
  choice_.add(0);
  return servers_.size() - 1;
}

ExchangePtr Pool::Impl::make_exchange(ExchangeRecord&& record, Caller* caller) {
  auto exchange = std::make_unique<Exchange>();
  exchange->bytes = std::move(record.bytes);
  exchange->session = std::move(record.session);
  exchange->caller = record.called_for ? caller : nullptr;
  exchange->ticket = record.ticket;
  exchange->submitted_us = record.submitted_us;
  exchange->submitted_ms = record.submitted_ms;
  exchange->retried = record.retried;
  exchange->counted = record.counted;
  if (size_t server = record.avoid.empty() ? SIZE_MAX : server_at(record.avoid); server != SIZE_MAX)
    exchange->avoid = server;
  return exchange;
}

bool Pool::Impl::restore(PoolRecord&& record, Caller* caller) {
  for (ExchangeRecord& waiting : record.queue) {
    if (waiting.bytes.size() < kMinRequestBytes) return false;
    queue_.push_back(make_exchange(std::move(waiting), caller));
  }
  for (DoneRecord& done : record.done) {
    AnswerRecord& a = done.answer;
    if (a.outcome > uint8_t(Outcome::encoded)) return false;
    done_.push_back(
        {make_exchange(std::move(done.exchange), caller),
         {Outcome(a.outcome), a.status, std::move(a.headers), std::move(a.body), a.may_have_run}});
  }
  return true;
}

bool Pool::Impl::restore(CarriedRecord&& record, UniqueFd fd, Caller* caller) {
  size_t server = server_at(record.server);
  if (server == SIZE_MAX || record.exchange.bytes.size() < kMinRequestBytes) return false;
  ExchangePtr exchange = make_exchange(std::move(record.exchange), caller);
  auto connection = std::make_unique<Connection>(shared_, server);
  if (!connection->restore(std::move(record), std::move(exchange), std::move(fd))) return false;
  choice_.taken(server);
  ++carried_;
  connections_.push_back(std::move(connection));
  return true;
}

}  // namespace holdfast::fcgi
