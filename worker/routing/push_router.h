// worker/routing/push_router.h - the Router of a worker: divides a command over the slots concerned, carries out its own
// part, posts the others, collects their answers.
//
//   execute(command)
//     sessions named    directory -> owner slot of each; an unknown one is reported at once
//     channel, stream   its home, for what concerns the stream (stream_home.h)
//     users, channels   filter -> slots that may have one; all: every served slot
//     own part          PushCarrier, now or in slices other parts   one record each (RecordKind::command)
//     answer wanted     the record carries a token; the other worker answers with RecordKind::reply (in pieces if long)
//     a list            every worker concerned answers with its first page.limit entries; the first page.limit of all of them
//                       are complete, because the entries that a worker left out come after all that it named
//
// Invariants
//   I1  `done` is called exactly once: when the last part is in, at the deadline (partial), or at once.
//       A push to sessions is answered as soon as all parts are handed over, its own to the carrier.
//   I2  At most kMaxPending commands wait for answers; a further one is answered at once, partial.
//   I3  Order: parts for one slot are posted in the order of execute() calls; parts for the home of a channel likewise, also while
//       that changes: as long as the former one owes answers it gets the next parts, too, and passes them on (Route).
#pragma once

#include <deque>
#include <functional>
#include <unordered_map>

#include "shm/segment.h"
#include "worker/channels/hub.h"
#include "worker/routing/post.h"
#include "worker/routing/push_carrier.h"
#include "worker/routing/recovery.h"
#include "worker/routing/router.h"
#include "worker/routing/stream_home.h"
#include "worker/sessions/table.h"

namespace holdfast {

class PushRouter final : public Router, private Post::Intake, private PushCarrier::Owner {
 public:
  static constexpr uint64_t kReplyDeadlineMs = 2'000;
  static constexpr size_t kMaxPending = 10'000;
  static constexpr uint32_t kMaxPage = PushCarrier::kMaxPage;
  static constexpr unsigned kTicksAway = 5;

  PushRouter(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub);

  void execute(const Command& command, CommandDone done) override;
  size_t waiting(uint64_t source) const override;
  void hold_while_waiting(Session& session) override;
  // Pushes to many, and the commands that wait for them: a slice of it, once a turn. True: there is more.
  bool carry_on() { return carrier_.carry_on(); }
  // All of it, now: before the slot moves, or the clients are closed.
  void finish_all();
  const PushCarrier& carrier() const { return carrier_; }
  void catch_up() override { post_.receive(); }
  PushCarrier& carrier() { return carrier_; }
  Post& post() { return post_; }
  uint16_t slots() const { return uint16_t(segment_.capacities().max_workers); }
  Streams& streams() { return streams_; }
  Recovery& recovery() { return recovery_; }
  // The slot is ours.
  void begin_serving();
  // No stream is at home here any more, and what was on its way to one has been passed on.
  bool may_end() const { return !streams_.any() || ticks_away_ > kTicksAway; }
  // Deadlines of commands that wait for answers, and what streams have to do; every tick.
  void tick();

 private:
  struct Pending {
    CommandResult result = {};
    CommandDone done;
    // Those that have not finished answering: homes that were asked, homes to which these have passed a part on, workers that carry it
    // out. The latter may be faster than the home that counts them, so these two may be below zero for a while.
    int homes = 0, passed_on = 0, missing = 0;
    uint32_t limit = 0;   // page.limit
    uint64_t source = 0;  // Command::source
    bool to_streams = false;
    std::vector<uint32_t> shards = {};  // of the homes
    bool complete() const { return homes <= 0 && passed_on == 0 && missing == 0; }
  };
  // Of a shard of streams: where the last part for it went, and how many are not answered.
  struct Route {
    uint16_t home = 0;
    uint32_t unanswered = 0;
  };
  // The part of a command that concerns one slot: its addressees; `data` stays in the whole.
  struct Part {
    uint16_t slot;
    Command command;
  };

  using Given = PushCarrier::Taken;
  using Answers = std::unordered_map<uint64_t, Pending>;

  void carried(const PushCarrier::Asker& asker, CommandResult&& result) override;
  void none_waits(uint64_t source) override;
  bool follows(const Channel& channel, const Position& at) override {
    return recovery_.follows(channel, at);
  }
  void answer_came(Answers::iterator it, CommandResult& result);
  void end(Answers::iterator it, bool partial);
  Given carry(const Command& part, std::string_view data, uint64_t source, uint64_t token,
              CommandResult& result);

  bool takes_from(uint16_t from) const override { return carrier_.takes_from(from); }
  void on_command(uint16_t from, std::string_view body);
  void on_reply(std::string_view body);
  void reply(const PushCarrier::Asker& to, CommandResult&& result);

  void count(const Command& command);
  void execute_send(const Command& command, const CommandDone& done);  // to one session
  std::vector<Part> divide(const Command& command, CommandResult* result);
  Command& part_for(std::vector<Part>& parts, const Command& whole, Op op, uint16_t slot);
  bool has_stream(const Command& command, const std::string& channel) const;
  uint16_t home_of(const std::string& channel);
  Given give(const Part& part, const Command& whole, uint64_t token, Pending& pending);
  std::optional<uint16_t> owner_of(const shm::SessionId& id);
  bool post_part(uint16_t slot, uint64_t token, const Command& part, std::string_view data);

  Runtime& runtime_;
  shm::Segment& segment_;
  Sessions& sessions_;
  Post post_;
  PushCarrier carrier_;
  Streams streams_;
  StreamHome home_;
  Recovery recovery_;
  unsigned worker_count_;
  std::vector<Route> routes_;                        // by shard
  std::unordered_map<uint64_t, size_t> to_streams_;  // commands under way, by source
  unsigned ticks_away_ = 0;                          // since the last shard was given away
  shm::SessionDirectory directory_;
  shm::ChannelFilter filter_;
  Answers pending_;
  std::unordered_map<uint64_t, shm::SessionId> held_;    // by source: not read from while it waits
  std::deque<std::pair<uint64_t, uint64_t>> deadlines_;  // (ms, token), in order
  uint64_t
      next_token_;  // never 0, and above all of a dead predecessor's: replies to it may still be in the rings
};

}  // namespace holdfast
