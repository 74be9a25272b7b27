// worker/push_router.h - the Router of a worker: divides a command over the slots concerned, carries out its own
// part, posts the others, collects their answers.
//
//   execute(command)
//     sessions named    directory -> owner slot of each; an unknown one is reported at once
//     users, channels   filter -> slots that may have one; all: every served slot
//     own part          apply(), now                  other parts   one record each (kind `command`)
//     answer wanted     the record carries a token; the other worker answers with kind `reply` (in pieces where long)
//     a list            every worker concerned answers with its first page.limit entries; the first page.limit of all of them
//                       are complete, because what a worker left out comes behind everything it named
//
// Invariants
//   I1  `done` is called exactly once: when the last part is in, at the deadline (partial), or at once.
//   I2  At most kMaxPending commands wait for answers; a further one is answered at once, partial.
//   I3  Order: parts for one slot are posted in the order of execute() calls.
#pragma once

#include <deque>
#include <unordered_map>

#include "shm/segment.h"
#include "worker/hub.h"
#include "worker/post.h"
#include "worker/router.h"
#include "worker/sessions.h"
#include "worker/tracer.h"

namespace holdfast {

class PushRouter final : public Router, public Post::Reader {
 public:
  static constexpr uint64_t kReplyDeadlineMs = 2'000;
  static constexpr size_t kMaxPending = 10'000;
  static constexpr uint32_t kMaxPage = 10'000;  // entries of one page

  PushRouter(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub);

  void execute(const Command& command, CommandDone done) override;
  Post& post() { return post_; }
  Tracer& tracer() { return tracer_; }
  // Deadlines of commands that wait for answers; every tick.
  void tick();

 private:
  enum Kind : uint32_t { kCommand = 1, kReply = 2 };  // 3 and 4: Tracer's
  struct Pending {
    CommandResult result;
    CommandDone done;
    unsigned missing;  // workers that have not finished answering
    uint32_t limit;    // page.limit
  };
  // The part of a command that concerns one slot: its addressees; `data` stays in the whole.
  struct Part {
    uint16_t slot;
    Command command;
  };

  void on_record(uint16_t from, uint32_t kind, std::string_view body) override;
  void on_command(uint16_t from, std::string_view body);
  void on_reply(std::string_view body);
  void reply(uint16_t to, uint64_t token, const CommandResult& result);

  void count(const Command& command);
  void execute_send(const Command& command, const CommandDone& done);  // to one session
  std::vector<Part> divide(const Command& command, CommandResult* result);
  Command& part_for(std::vector<Part>& parts, const Command& whole, uint16_t slot);
  std::optional<uint16_t> owner_of(const shm::SessionId& id);
  bool post_part(uint16_t slot, uint64_t token, const Command& part, std::string_view data);

  CommandResult apply(const Command& part, std::string_view data);
  void apply_to(Session& session, const Command& part, Payload& payload, Urgency urgency,
                CommandResult* result);
  void join(Session& session, const Command& part, CommandResult* result);
  void fan_out(std::string_view channel, Payload& payload, const Command& part,
               CommandResult* result);
  void publish(const Channel& channel, Payload& payload, const Command& part,
               CommandResult* result);
  void publish_to_patterns(std::string_view name, Payload& payload, CommandResult* result);
  void send_to_all(const Command& part, Payload& payload, CommandResult* result);
  void describe(const Session& session, CommandResult* result) const;
  void list_members(std::string_view channel, const Page& page, CommandResult* result) const;
  void list_names(const Command& part, CommandResult* result) const;

  Runtime& runtime_;
  shm::Segment& segment_;
  Sessions& sessions_;
  Hub& hub_;
  Post post_;
  Tracer tracer_;
  shm::SessionDirectory directory_;
  shm::ChannelFilter filter_;
  std::unordered_map<uint64_t, Pending> pending_;
  std::deque<std::pair<uint64_t, uint64_t>> deadlines_;  // (ms, token), in order
  uint64_t
      next_token_;  // never 0, and above all of a dead predecessor's: replies to it may still be in the rings
};

}  // namespace holdfast
