// tests/unit/worker/room.h - the inside of a worker without its main function: real segment, real
// hub, sessions and router; the test turns the loop and says how late it is.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "base/clock.h"
#include "tests/harness/wait.h"
#include "worker/client.h"
#include "worker/push_router.h"

namespace holdfast::test {

// A segment of its own for each test and the doorbells of its slots.
class Instance {
 public:
  explicit Instance(shm::Capacities capacities = {.max_workers = 2,
                                                  .max_sessions = 64,
                                                  .filter_buckets = 64,
                                                  .mailbox_bytes = 64 * 1024})
      : segment(make(capacities)) {
    for (uint32_t slot = 0; slot < capacities.max_workers; ++slot) {
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
    auto made = shm::Segment::create(
        {.instance = fmt::format("worker-test-{}-{}", getpid(), ++number),
         .runtime_dir = "/nowhere",
         .node_id = 7},
        capacities);
    if (!made) throw std::runtime_error(made.error().text());
    return *std::move(made);
  }
};

// A backend that accepts everybody and writes down what it is told.
class NotingBackend final : public Backend {
 public:
  explicit NotingBackend(Sessions& sessions) : sessions_(sessions) {}
  void open(Session& session, const Opening&) override {
    if (accepts) session.client->accept({});
  }
  void message(Session&, bool, std::string_view data) override { messages.emplace_back(data); }
  void gone(Session& session) override {
    endings.push_back(session.ended_by);
    codes.push_back(session.ended_code);
    sessions_.forget(session);
  }
  void adopt(Session& session, const shm::SessionView&) override { sessions_.forget(session); }

  bool accepts = true;
  std::vector<std::string> messages;
  std::vector<EndReason> endings;
  std::vector<uint16_t> codes;

 private:
  Sessions& sessions_;
};

class Room {
 public:
  explicit Room(Instance& instance, uint16_t slot = 0, const conf::Config& given = {})
      : config(given),
        heritage(heritage_of(instance, slot)),
        runtime{config, slot, loop, wheel, flush, instance.segment.stats(slot), scratch,
                monotonic_ms()},
        hub(runtime, instance.segment.filter()),
        sessions(runtime, instance.segment, hub),
        router(runtime, heritage, sessions, hub),
        backend(sessions),
        connections(runtime) {
    listen.path = "/ws";
    listen.origins = {"*"};
    listen.ping_interval_ms = 0;
  }
  ~Room() {
    connections.clear();
    loop.bury();
  }

  // One turn as the worker's: mail and frames out, events, mail in.
  void turn() {
    router.post().dispatch();
    flush.run();
    router.post().dispatch();
    loop.bury();
    event_base_loop(loop.raw(), EVLOOP_NONBLOCK);
    runtime.now_ms = monotonic_ms() + later_ms;
    router.post().receive();
    loop.bury();
  }
  void turns(int n) {
    while (n-- > 0) turn();
  }
  // The worker's tick, `ms` later.
  void pass(uint64_t ms) {
    later_ms += ms;
    runtime.now_ms = monotonic_ms() + later_ms;
    wheel.advance(runtime.now_ms);
    router.tick();
    turn();
  }
  bool turn_until(const std::function<bool()>& done) {
    return eventually([&] {
      turn();
      return done();
    });
  }
  // A client of `listen` on one end of a socket pair; the other end is the answer.
  UniqueFd connect(Client** client = nullptr) {
    auto [near, far] = pair();
    auto made = std::make_unique<Client>(home, std::move(near), shm::SessionOrigin{});
    if (client != nullptr) *client = made.get();
    Client& started = *made;
    connections.add(std::move(made));
    started.start();
    return std::move(far);
  }
  static std::pair<UniqueFd, UniqueFd> pair() {
    int ends[2];
    HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    return {UniqueFd(ends[0]), UniqueFd(ends[1])};
  }
  // A session without a connection of its own: what it is sent lands in a client nobody flushes.
  Session& make_session() {
    others_ends.push_back(connect_raw());
    return *last_session_;
  }

  conf::Config config;
  conf::Listen listen;
  Heritage heritage;
  Loop loop;
  TimingWheel wheel{monotonic_ms()};
  FlushQueue flush;
  std::vector<char> scratch = std::vector<char>(64 * 1024);
  Runtime runtime;
  Hub hub;
  Sessions sessions;
  PushRouter router;
  NotingBackend backend;
  ConnectionTable connections;
  ClientHome home{runtime, connections, sessions, listen, 0, backend};
  uint64_t later_ms = 0;
  std::vector<UniqueFd> others_ends;

 private:
  static Heritage heritage_of(Instance& instance, uint16_t slot) {
    Heritage heritage{};
    heritage.segment = &instance.segment;
    heritage.slot = slot;
    heritage.worker_count = 1;
    heritage.doorbell_read = instance.read_ends[slot].get();
    for (const UniqueFd& end : instance.write_ends) heritage.doorbell_write.push_back(end.get());
    heritage.control = -1;
    return heritage;
  }
  UniqueFd connect_raw();

  Session* last_session_ = nullptr;
};

}  // namespace holdfast::test
