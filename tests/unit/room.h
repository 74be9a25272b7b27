// tests/unit/room.h - the inside of a worker without its main function: a real segment, hub,
// sessions, router and clients on socket pairs. The test turns the loop and says how late it is.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/harness/wait.h"
#include "worker/clients/client.h"
#include "worker/observe/tracer.h"
#include "worker/routing/push_router.h"

namespace holdfast::test {

// A segment of its own for each test, and the doorbells of its slots.
class Instance {
 public:
  explicit Instance(uint32_t mailbox_bytes = 64 * 1024, uint32_t max_sessions = 64,
                    uint32_t stream_shards = 2)
      : segment(make({.max_workers = 2,
                      .max_sessions = max_sessions,
                      .filter_buckets = 64,
                      .mailbox_bytes = mailbox_bytes,
                      .stream_shards = stream_shards})) {
    for (uint32_t slot = 0; slot < 2; ++slot) {
      int ends[2];
      HF_CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
      read_ends.emplace_back(ends[0]);
      write_ends.emplace_back(ends[1]);
      set_state(slot, shm::SlotState::serving);
    }
  }
  void set_state(uint32_t slot, shm::SlotState state) { segment.slot(slot).state.store(state); }

  shm::Segment segment;
  std::vector<UniqueFd> read_ends, write_ends;

 private:
  static shm::Segment make(const shm::Capacities& capacities) {
    static unsigned number = 0;
    shm::SegmentIdentity identity{
        .instance = fmt::format("worker-test-{}-{}", getpid(), ++number),
        .runtime_dir = "/nowhere",
        .node_id = 7,
    };
    auto made = shm::Segment::create(identity, capacities);
    if (!made) throw std::runtime_error(made.error().text());
    return *std::move(made);
  }
};

inline std::pair<UniqueFd, UniqueFd> socket_pair() {
  int ends[2];
  HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
  return {UniqueFd(ends[0]), UniqueFd(ends[1])};
}

// The far end of a connection.
class Peer {
 public:
  Peer(UniqueFd fd, Client* near) : client(near), fd_(std::move(fd)) {}
  void send(std::string_view bytes) {
    ASSERT_EQ(::send(fd_.get(), bytes.data(), bytes.size(), MSG_NOSIGNAL), ssize_t(bytes.size()));
  }
  // Reads what is there; everything that came so far.
  const std::string& received() {
    char bytes[65536];
    for (;;) {
      ssize_t got = recv(fd_.get(), bytes, sizeof bytes, MSG_DONTWAIT);
      if (got <= 0) {
        ended_ |= got == 0 || errno != EAGAIN;
        return received_;
      }
      received_.append(bytes, size_t(got));
    }
  }
  bool at_end() { return received(), ended_; }
  void end_output() { shutdown(fd_.get(), SHUT_WR); }
  void close() { fd_.reset(); }
  int fd() const { return fd_.get(); }

  Client* client;  // valid while the connection is

 private:
  UniqueFd fd_;
  std::string received_;
  bool ended_ = false;
};

// Lets everybody in (if `accepts`) and writes down what it is told.
class NotingBackend final : public Backend {
 public:
  explicit NotingBackend(Sessions& sessions) : sessions_(sessions) {}
  void open(Session& session, const Opening&) override {
    if (accepts) session.transport->accept({});
  }
  void message(Session&, bool, std::string_view data) override { messages.emplace_back(data); }
  void gone(Session& session) override {
    endings.push_back(session.ended_by);
    sessions_.forget(session);
  }
  void adopt(Session& session, const shm::SessionView&) override { sessions_.forget(session); }
  bool busy(const Session&) const override { return owes_answers; }

  bool accepts = true;
  bool owes_answers = false;
  std::vector<std::string> messages;
  std::vector<EndReason> endings;

 private:
  Sessions& sessions_;
};

class Room {
 public:
  // `standby`: the slot is another room's until everything in it has been restored here.
  explicit Room(Instance& instance, uint16_t slot = 0, const conf::Config& given = {},
                bool standby = false)
      : config(given),
        heritage(heritage_of(instance, slot, standby)),
        runtime{config,  slot,          loop, wheel, flush, instance.segment.stats(slot),
                scratch, monotonic_ms()},
        hub(runtime, instance.segment.filter()),
        sessions(runtime, instance.segment, hub,
                 standby ? shm::Slab::Predecessor::living : shm::Slab::Predecessor::dead),
        router(runtime, heritage, sessions, hub),
        tracer(runtime, router),
        admission(runtime, heritage.segment->addresses()),
        backend(sessions),
        connections(runtime) {
    web.path = "/ws";
    web.origins = {"*"};
    lines.protocol = conf::Protocol::tcp;
    lines.framing =
        conf::Framing{.kind = conf::FramingKind::delimiter, .strip = false, .delimiter = "\n"};
    lines.ping_interval_ms = 0;
  }
  ~Room() {
    connections.clear();
    loop.bury();
  }

  // One turn as the worker's: mail and frames out, events, mail in.
  void turn() {
    runtime.budget.begin_turn(monotonic_ms());
    connections.input().run();
    router.post().dispatch();
    router.carry_on();
    router.recovery().run();
    sessions.end_overdue(runtime.now_ms);
    flush.run();
    router.post().dispatch();
    loop.bury();
    event_base_loop(loop.raw(), EVLOOP_NONBLOCK);
    runtime.now_ms = monotonic_ms() + later_ms;
    router.post().receive();
    loop.bury();
  }
  // The worker's tick, `ms` later.
  void pass(uint64_t ms) {
    later_ms += ms;
    runtime.now_ms = monotonic_ms() + later_ms;
    wheel.advance(runtime.now_ms);
    router.tick();
    tracer.tick();
    turn();
  }
  bool turn_until(const std::function<bool()>& done) {
    return eventually([&] {
      turn();
      return done();
    });
  }

  Peer connect(const conf::Listen& listen, Backend& to, const tls::Context* tls = nullptr,
               const shm::SessionOrigin& origin = {}) {
    homes.push_back(ClientHome{runtime, connections, sessions, listen, 0, to, admission, tls});
    auto [near, far] = socket_pair();
    auto made = Client::make(homes.back(), std::move(near));
    Client& started = *made;
    connections.add(std::move(made));
    started.start(origin);
    return {std::move(far), &started};
  }
  Peer connect() { return connect(lines, backend); }  // messages are lines
  Session* session_of(const Peer& peer) {
    Session* found = nullptr;
    sessions.for_each_live([&](Session& session) {
      if (session.transport == peer.client) found = &session;
    });
    return found;
  }
  Session& open_session() { return *session_of(others.emplace_back(connect())); }
  CommandResult execute(const Command& command) {
    std::optional<CommandResult> result;
    router.execute(command, [&](CommandResult&& given) { result = std::move(given); });
    EXPECT_TRUE(result) << "not answered at once";
    return result.value_or(CommandResult{});
  }

  conf::Config config;
  conf::Listen web, lines;
  Heritage heritage;
  Loop loop;
  TimingWheel wheel{monotonic_ms()};
  FlushQueue flush;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
  Runtime runtime;
  Hub hub;
  Sessions sessions;
  PushRouter router;
  Tracer tracer;
  Admission admission;
  NotingBackend backend;
  std::deque<ClientHome> homes;
  ConnectionTable connections;
  std::deque<Peer> others;
  uint64_t later_ms = 0;

 private:
  static Heritage heritage_of(Instance& instance, uint16_t slot, bool standby) {
    Heritage heritage{};
    heritage.standby = standby;
    heritage.segment = &instance.segment;
    heritage.slot = slot;
    heritage.worker_count = 1;
    heritage.doorbell_read = instance.read_ends[slot].get();
    for (const UniqueFd& end : instance.write_ends) heritage.doorbell_write.push_back(end.get());
    heritage.control = -1;
    return heritage;
  }
};

// Sends an opening hand-shake.
inline void shake_hands(Peer& peer, std::string_view more = {}) {
  peer.send(
      "GET /ws HTTP/1.1\r\nHost: x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
      "Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n" +
      std::string(more) + "\r\n");
}

// What came behind the 101, or "(no 101)".
inline std::string behind_101(Peer& peer) {
  const std::string& all = peer.received();
  size_t end = all.find("\r\n\r\n");
  if (!all.starts_with("HTTP/1.1 101 ") || end == std::string::npos) return "(no 101)";
  return all.substr(end + 4);
}

}  // namespace holdfast::test
