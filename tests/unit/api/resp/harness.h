// tests/unit/api/resp/harness.h - a Redis client's connection without a socket, on a segment and a hub of its own.
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/event.h"
#include "tests/unit/api/api_harness.h"
#include "worker/api/resp/face.h"
#include "worker/channels/hub.h"
#include "worker/net/runtime.h"
#include "worker/net/timing_wheel.h"

namespace holdfast::api {

// Does for a face what ApiConnection does: keeps bytes that are not used up, and puts the answers in a row.
class RespLine final : public Wire, private Reply::Desk {
 public:
  explicit RespLine(const ApiContext& context) : face(std::make_unique<RespFace>(context, *this)) {}

  // What leaves because of these bytes.
  std::string say(std::string_view bytes) {
    in_ += bytes;
    run();
    return take();
  }
  std::string take() { return std::exchange(out_, {}); }
  // Goes on where a step said wait.
  void run() {
    while (!ended && !aborted) {
      size_t used = 0;
      row_.emplace_back();
      last_step =
          face->step(in_, row_.size() == 1, Reply(*this, 1, first_ + row_.size() - 1), &used);
      in_.erase(0, used);
      bool taken = last_step == Face::Step::taken || last_step == Face::Step::last;
      if (!taken && !row_.empty()) row_.pop_back();
      settle();
      ended = last_step == Face::Step::last;
      if (last_step == Face::Step::need_more || last_step == Face::Step::wait) return;
    }
  }

  void push(BufferRef bytes, Urgency) override { out_ += bytes.bytes(); }
  size_t unsent() const override { return backlog + out_.size(); }
  void abort() override { aborted = true; }

  std::unique_ptr<RespFace> face;
  Face::Step last_step = Face::Step::need_more;
  size_t backlog = 0;
  bool ended = false, aborted = false;

 private:
  void on_reply(uint64_t, uint64_t request, BufferRef bytes) override {
    ASSERT_LT(request - first_, row_.size());
    ASSERT_FALSE(row_[request - first_]) << "answered twice";
    row_[request - first_] = std::string(bytes.bytes());
    settle();
  }
  void settle() {
    for (; !row_.empty() && row_.front(); row_.pop_front(), ++first_) out_ += *row_.front();
  }

  std::string in_, out_;
  std::deque<std::optional<std::string>> row_;
  uint64_t first_ = 1;
};

// The hub is a real one. PUBLISH by way of FakeRouter reaches it; everything else only writes down.
class RespTest : public ApiTest {
 protected:
  class HubRouter final : public FakeRouter {
   public:
    explicit HubRouter(Hub& hub) : hub_(hub) {}
    void execute(const Command& command, CommandDone done) override {
      uint64_t reached = 0;
      if (command.op == Op::publish)
        for (const std::string& name : command.channels)
          reached += publish(name, command.data, command.sharded);
      if (!fixed) next_result.delivered = reached;
      FakeRouter::execute(command, std::move(done));
    }
    uint64_t publish(std::string_view name, std::string_view data, bool sharded = false) {
      const Channel* channel = hub_.find(name);
      Payload payload(data, false);
      uint64_t reached = 0;
      if (channel != nullptr && (!sharded || kind_of(name) == NameKind::shard))
        for (const Channel::Member& m : channel->subscribers)
          reached += m.subscriber().published(channel->name, payload, Urgency::bulk) ? 1 : 0;
      if (sharded) return reached;
      hub_.for_each_pattern_of(name, [&](const Channel& pattern) {
        for (const Channel::Member& m : pattern.subscribers)
          reached += m.subscriber().matched(plain_name(pattern.name), name, payload, Urgency::bulk)
                         ? 1
                         : 0;
      });
      return reached;
    }
    bool fixed = false;  // next_result is what the test has said

   private:
    Hub& hub_;
  };

  RespTest() {
    context.hub = &hub;
    context.router = &router;
  }
  // The answer to this one on a connection of its own.
  std::string answer_of(std::string_view request) { return RespLine(context).say(request); }
  // What the router was told to do by this request.
  Command command_of(std::string_view request) {
    router.seen.clear();
    std::string answer = answer_of(request);
    EXPECT_EQ(router.seen.size(), 1u) << request << answer;
    return router.seen.empty() ? Command{} : router.seen[0];
  }
  void answer_with(CommandResult result) {
    router.fixed = true;
    router.next_result = std::move(result);
  }
  shm::StatsBlock& stats() { return segment.stats(1); }

  Loop loop;
  TimingWheel wheel{monotonic_ms()};
  FlushQueue flush;
  Runtime runtime{config, 1, loop, wheel, flush, segment.stats(1), {}};
  Hub hub{runtime, segment.filter()};
  HubRouter router{hub};
};

// "PUBLISH a b" typed as a line.
inline std::string line(std::string_view text) {
  return std::string(text) + "\r\n";
}

}  // namespace holdfast::api
