// worker/backends/resolver.h - addresses of back ends' names, without the loop ever waiting for a name server.
//
// getaddrinfo(3) asks /etc/hosts, nsswitch and name servers, and takes as long as they do. So another process calls it (the
// resolver, master/resolver_process.h), forked with the worker before that gives up most system calls. Between the two is a
// socket of packets, both of whose ends are trusted:
//
//   to the resolver     number : 64 | NAME:PORT
//   from the resolver   number : 64 | "192.0.2.1:9000 [2001:db8::1]:9000 ..."      nothing: no address
//
// Invariants
//   I1  Each ask() is answered exactly once, in a later turn, unless forget() came first; at the latest after kDeadlineMs.
//   I2  At most kMaxAsked questions are open; a further one is answered with nothing.
//
// If the resolver has gone, every answer is "no address", and addresses found before stay in use.
#pragma once

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <vector>

#include "base/event.h"
#include "base/log.h"
#include "shm/stats.h"
#include "worker/backends/lookups.h"

namespace holdfast {

class Resolver final : public fcgi::Lookups {
 public:
  static constexpr size_t kMaxAsked = 256;
  static constexpr uint64_t kDeadlineMs = 60'000;

  // `fd`: the worker's end, borrowed; -1: there is no resolver.
  Resolver(Loop& loop, int fd, shm::StatsBlock& stats);

  void ask(const std::string& name_and_port, fcgi::Lookups::Asker& asker, size_t which) override;
  void forget(const fcgi::Lookups::Asker& asker) override;
  // Deadlines, and questions that could not be sent; every tick.
  void tick(uint64_t now_ms);

 private:
  struct Asked {
    std::string text;
    fcgi::Lookups::Asker* asker;
    size_t which;
    uint64_t since_ms;  // 0: as of the next tick
  };
  void on_readable(short);
  void answer(uint64_t number, std::vector<conf::Address>&& found);

  int fd_;
  shm::StatsBlock& stats_;
  IoEvent readable_;
  std::map<uint64_t, Asked> asked_;
  std::deque<uint64_t> in_vain_;  // to be answered with nothing
  uint64_t next_ = 1;
  LogGate gate_;
};

}  // namespace holdfast
