// bench/load/client_process.h - one process full of connections: opens them, watches what they get,
// closes them.
//
// Runs in a child of the driver, one epoll loop, and reports through its ProcessBlock (arena.h). It
// follows the driver's phase and never waits for another process otherwise. Errors of single
// connections are counted, not fatal.
#pragma once

#include <optional>
#include <vector>

#include "bench/load/arena.h"
#include "bench/load/connection.h"
#include "bench/load/options.h"
#include "bench/load/pacer.h"

namespace holdfast::bench {

class ClientProcess : private ConnectionSink {
 public:
  // Process `index` of options.processes holds its share of the connections.
  ClientProcess(const Options& options, const Arena& arena, uint32_t index);
  // From the first connection to the last close. An error is one of this process: no epoll, no
  // descriptors.
  Result<void> run();

 private:
  void open_all();
  bool open_next();
  void time_out_handshakes(uint64_t now_ns);
  void carry_load();
  void send_due(uint64_t now_ns);
  void send_one(Connection& connection, uint64_t due_ns);
  void come_back();
  bool take_greeting(std::string_view payload);
  void close_all();
  void count_missing();
  // One turn: waits for readiness until `until_ns` at most.
  void turn(uint64_t until_ns);

  void on_open(Connection& connection, std::string_view session) override;
  void on_message(Connection& connection, std::string_view payload) override;
  void on_end(Connection& connection, End why) override;

  Phase phase() const { return Phase(arena_.phase().load(std::memory_order_acquire)); }
  void reached(Phase phase) { block_.reached.store(uint32_t(phase), std::memory_order_release); }
  uint32_t index_of(const Connection& c) const { return first_ + c.place(); }
  uint32_t addressee_of(const Connection& connection) const;
  std::string target_of(uint32_t place) const;

  const Options& options_;
  const Arena& arena_;
  ProcessBlock& block_;
  uint32_t first_;  // index of our first connection
  UniqueFd epoll_;
  Endpoint where_;
  std::vector<char> scratch_;
  std::vector<Connection> connections_;
  size_t started_ = 0;  // of connections_, in order
  size_t under_way_ = 0;
  size_t alive_ = 0;   // not ended, of those started
  size_t oldest_ = 0;  // no hand-shake is under way before it
  size_t next_sender_ = 0;
  bool coming_back_ = false;  // resume: after the cut
  Pacer pacer_;
  std::string message_;
};

}  // namespace holdfast::bench
