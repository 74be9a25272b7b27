// worker/backends/fcgi/pool_impl.h - the inside of a Pool: which connection carries which exchange, and which caller gets which answer.
//
// Invariants
//   I1  An exchange is in exactly one place: queue, a connection, or done. From done it goes to its
//       caller.
//   I2  Callers are called from deliver() only, when everything else is in order: they may submit.
//   I3  A connection is in connections_ until it is retired; a retired one is closed and silent.
//   I4  The queue is in the order of submission, so its deadlines pass from the front.
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/log.h"
#include "worker/backends/fcgi/connection.h"
#include "worker/backends/fcgi/exchange.h"
#include "worker/backends/fcgi/pool.h"
#include "worker/backends/fcgi/stderr_log.h"
#include "worker/backends/server_choice.h"

namespace holdfast::fcgi {

struct Pool::Impl final : ConnectionOwner, Lookups::Asker {
  Impl(Loop& loop, const conf::Backend& backend, Share share, shm::StatsBlock& stats,
       std::function<bool()> others_waiting);
  ~Impl();

  bool submit(Request request);
  void tick(uint64_t at_ms);
  void keep_no_connections();
  // pool_names.cc: servers that have a name
  void look_up_with(Lookups& lookups);
  // pool_handover.cc
  void settle();
  PoolRecord save() const;
  std::vector<std::pair<CarriedRecord, int>> carried() const;
  bool restore(PoolRecord&& record, Caller* caller);
  bool restore(CarriedRecord&& record, UniqueFd fd, Caller* caller);
  size_t in_flight() const { return carried_ + done_.size(); }
  size_t queued() const { return queue_.size(); }

 private:
  // A server of the configuration whose address is a name's. The entry at its place in servers_ has the first address,
  // and servers of their own have the others.
  struct Name {
    size_t server;
    std::string text;
    unsigned weight;
    std::vector<size_t> others = {};  // in servers_; a weight of 0 there: not now
    bool asked = false;
    uint64_t due_ms = 0;       // when it is looked up again
    uint64_t earliest_ms = 0;  // not before, whatever fails
  };
  struct Done {
    ExchangePtr exchange;
    Answer answer;
  };
  // Conclusions from a server's behaviour. Not carried: a successor draws them again.
  struct Seen {
    bool lazy = false;                 // it leaves the terminator unread until it is ready for more
    uint64_t crowded_until_ms = 0;     // all its processes were busy a moment ago
    uint64_t released_ms = 0;          // when a connection was closed for one that starves
    unsigned released = 0;             // how many in that millisecond
    uint64_t distrusted_until_ms = 0;  // TCP: a request on a kept connection had no answer
  };

  void on_open(Connection& connection) override;
  void on_refused(Connection& connection, int error, bool in_time) override;
  void on_end(Connection& connection, End end) override;
  void on_idle_end(Connection& connection) override;
  void on_read(Connection& connection) override;
  uint64_t now_ms() const override;

  // pool_place.cc: the place of a request
  bool place(ExchangePtr& exchange);
  void place_on_new(ExchangePtr& exchange, size_t server);
  Connection* ready_idle(std::optional<size_t> server, std::optional<size_t> avoid);
  bool is_ready(const Connection& connection);
  Connection* longest_starving(size_t server);
  bool crowded(size_t server);
  bool one_is_ready_soon();
  void watch_resting();
  Connection* oldest_idle(std::optional<size_t> server);
  void carry(Connection& connection, ExchangePtr& exchange);
  void run_queue();
  void put_back(ExchangePtr exchange);
  bool wants_kept(size_t server);
  bool may_keep(Connection& connection);
  void rest(Connection& connection);
  bool shows_reading(size_t server) const;
  bool release_for_starving(size_t server);
  bool starves(size_t server);
  void watch_for_late();
  void close_idle(bool all);
  void retire(Connection& connection, bool answered = false);
  ExchangePtr take_from(Connection& connection);

  // pool_names.cc
  void look_up_names();
  void name_failed(size_t server);
  void on_addresses(size_t which, std::vector<conf::Address>&& found) override;
  void use_addresses(Name& name, std::vector<conf::Address>&& found);
  size_t spare_server(const Name& name);

  // pool_handover.cc
  size_t server_at(const std::string& address);
  ExchangePtr make_exchange(ExchangeRecord&& record, Caller* caller);

  // pool.cc: its outcome
  bool enqueue(ExchangePtr exchange);
  bool may_try_all(Connection& connection, int error, size_t other) const;
  void retry(ExchangePtr exchange, size_t server);
  void end_queued_too_long();
  void complete(ExchangePtr exchange, size_t server, std::string output, uint8_t said);
  bool decode(const Exchange& exchange, size_t server, CgiHead& head, std::string& body,
              Outcome* outcome);
  void note_error_page(const Exchange& exchange, size_t server, int status);
  void fail(ExchangePtr exchange, size_t server, End how);
  void end(ExchangePtr exchange, Answer answer);
  void count(const Answer& answer, const Exchange& exchange);
  void count_sent(Exchange& exchange);
  void deliver();
  Seen& seen(size_t server) {
    if (seen_.size() <= server) seen_.resize(servers_.size());
    return seen_[server];
  }
  const std::string& server_name(size_t server) const { return servers_[server].address.text; }

  Loop& loop_;
  const conf::Backend& backend_;
  std::vector<conf::BackendServer> servers_;  // and those that a reload took away, with weight 0
  const Share share_;
  shm::StatsBlock& stats_;
  std::function<bool()> others_waiting_;
  StderrLog stderr_log_;
  ServerChoice choice_;
  std::vector<char> scratch_;
  ConnectionShared shared_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::deque<ExchangePtr> queue_;
  std::deque<Done> done_;
  size_t carried_ = 0;  // exchanges on connections
  uint64_t last_tick_ms_ = 0;
  bool keep_ = true;
  bool others_wait_ = false;  // as of the last tick
  bool delivering_ = false;   // or must not, inside submit()
  bool running_queue_ = false;
  std::vector<Seen> seen_;  // as servers_
  std::vector<Name> names_;
  Lookups* lookups_ = nullptr;
  LogGate refused_gate_, failed_gate_, queue_gate_;
};

}  // namespace holdfast::fcgi
