// tests/harness/crowd.h - thousands of clients in one thread, which notice whatever a server loses, doubles, reorders or closes.
//
// Clients of every kind and programs that push, all non-blocking on one epoll. Each message carries its stream and number
// (crowd_ledger.h says what is asked of them); whatever is not as it must be becomes a Violation: who, what was expected,
// what came. The crowd works only while somebody runs it.
//
//   echo, php    WebSockets: what each says must come back to it, once and in order
//   relay, tcp   what each says must come to everybody in its room (relay: rooms of eight; tcp: one), itself included
//   subscribers  RESP connections with SUBSCRIBE to the rooms of relay
//   pushers      HTTP and RESP connections that send to sessions, rooms and all, several requests in a pipeline; each gets
//                one answer, in order, with success
//
// Some clients write a few bytes at a time, so that frames are cut anywhere at any moment; some read slowly, so that the
// server has unsent output for them; some messages come in fragments; some are of 40,000 bytes. Clients leave and others come
// all the time. A close that nobody asked for is a violation, but for members that may be lost; nothing else is forgiven
// them: what they get before is checked as ever. Lost members are replaced, as real clients come back.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <set>
#include <string>
#include <utility>

#include "tests/harness/wait.h"

namespace holdfast::test {

enum class CrowdKind : uint8_t { echo, php, relay, tcp, subscriber, http_pusher, resp_pusher };

struct CrowdOptions {
  std::string address[7];      // by kind; "127.0.0.1:80"
  unsigned count[7] = {};      // by kind
  unsigned pace_ms = 1'000;    // between two messages of one client, on average
  unsigned push_pace_ms = 20;  // between two requests of one pusher
  unsigned churn_ms = 50;      // one client leaves and another comes; 0: they stay
  uint64_t seed = 1;

  void add(CrowdKind kind, const std::string& at, unsigned n) {
    address[size_t(kind)] = at;
    count[size_t(kind)] = n;
  }
};

// A TCP connection over loopback: the client's port and the server's. One alone does not tell: a client's port may serve
// towards several servers' at the same time.
using PortPair = std::pair<uint16_t, uint16_t>;

class Crowd {
 public:
  // Connects all; throws where not all have been greeted in time.
  explicit Crowd(const CrowdOptions& options);
  ~Crowd();
  Crowd(const Crowd&) = delete;
  Crowd& operator=(const Crowd&) = delete;

  // Works until the answer is true (asked after every turn); false where `ms` pass before.
  bool run_until(const std::function<bool()>& condition, int ms = timeout_ms());
  // Works until `count` more messages have come to clients.
  bool exchange(uint64_t count);
  // Works while `blocking` runs in a thread of its own; throws what it throws.
  void during(const std::function<void()>& blocking);
  // Says nothing more and waits for all that is still to come. What has not come when nothing at all came for
  // timeout_ms() is a violation each. Everybody is ready then.
  void settle();
  // Speaks again.
  void resume();
  // settle(), then everybody says goodbye and sees the server close.
  void leave();

  // Members with these connections may be closed from now on.
  void doom(const std::set<PortPair>& connections);
  void doom(CrowdKind kind);
  void doom_all();
  // How many doomed ones are still there.
  size_t doomed() const;
  // They are gone, by our doing.
  void drop_doomed();
  // Those still there may not be closed any more: they have outlived what might have cost them.
  void reprieve();
  // While it is on, anybody may be closed at any time, and newcomers refused; off is a reprieve, too.
  void peril(bool on);
  // While it is on, pushes may fail or be answered without every worker's part; requests of clients may wait.
  void trouble(bool on);
  // Whoever connects from now on does so to these addresses.
  void aim_at(const CrowdOptions& options);
  // While it is on, nobody connects: lost ones are replaced and newcomers come afterwards.
  void hold_newcomers(bool on);

  size_t clients() const;  // ready WebSocket and TCP members
  size_t members() const;  // all, in whatever state
  uint64_t received() const;
  uint64_t violations() const;
  std::string violation_text() const;  // the first ten, a line each
  std::string state_text() const;      // who is in which state: for a failed wait

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

// The TCP connections that a server's process holds (/proc/PID/fd, /proc/net/tcp).
std::set<PortPair> connections_of(int pid);

}  // namespace holdfast::test
