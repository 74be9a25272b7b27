// worker/routing/push_carrier.h - carries out the parts of commands that concern this worker: at once if they are small, else in
// slices, a slice a turn, so that a push to a hundred thousand delays nobody else.
//
//   take(part)    nothing of its source waits and it fits what this turn may still do   all of it, now
//                 too large for that                                                     its first slice now, the rest in later turns
//                 an earlier one of its source is unfinished                             waits for it
//   carry_on()    once a turn: the next slice of the one that has begun; then the next source's turn
//
// A source is the asker: a session, an API connection, another worker (Command::source). The commands of one source are
// carried out in their order, for every recipient and every change; between two sources there is no order (holdfast(7)
// ORDER), so small commands of others are served between the slices of a big one, and big ones take turns by source.
//
// Invariants
//   I1  One command at a time is begun and unfinished. A member (or a session, for send_all) that was there when it began and
//       still is when it ends has got it exactly once; one that left meanwhile may have, one that came meanwhile has not. The
//       lists see to it themselves: Hub::Walk, Sessions::Walk. The patterns that a channel's name fits are looked up then, too:
//       their subscribers come after the channel's, and a subscriber of both, or of two of them, gets it by each.
//   I2  A part taken is carried out to its end, and Owner::carried() called once, if take() did not say `done` itself.
//   I3  At most kMaxTasks and kMaxBytes wait; beyond it take() refuses (push.refused_busy). Other workers' are never
//       refused: their rings are not read while kMostOfAWorker of one wait (takes_from()).
//   I4  While more than kCongested recipients wait for commands that have not begun, TurnBudget::congested().
// A crash loses waiting commands, as it loses output queued for the clients. A slot moves with nothing waiting: finish().
#pragma once

#include <deque>
#include <functional>
#include <memory>
#include <unordered_map>
#include <vector>

#include "worker/channels/hub.h"
#include "worker/channels/payload.h"
#include "worker/routing/router.h"
#include "worker/sessions/table.h"
#include "worker/sessions/trace.h"

namespace holdfast {

// Is it also for subscribers of a pattern that the name fits?
inline bool goes_to_patterns(const Command& command, std::string_view name) {
  return command.op == Op::publish && !command.sharded && !command.repeated &&
         kind_of(name) == NameKind::channel;
}

class PushCarrier {
 public:
  static constexpr size_t kSlice = 4'096;   // deliveries, about 1 ms
  static constexpr size_t kATurn = 32'768;  // carried out at once, of all commands of a turn
  static constexpr size_t kSmall =
      256;  // recipients of a command that need not wait for another source's
  static constexpr size_t kCongested = 32'768;
  static constexpr uint64_t kMostWorkers =
      4'096;  // sources up to it are workers: source_of_worker()
  static constexpr size_t kMaxTasks = 4'096;
  static constexpr size_t kMaxBytes = size_t{64} * 1024 * 1024;
  static constexpr size_t kMostOfAWorker = 64;
  static constexpr size_t kPatternsADelivery = 4;  // to look whether a name fits them
  static constexpr size_t kChange = 8;  // a join, kick ... costs as much as so many deliveries
  static constexpr uint32_t kMaxPage = 10'000;  // entries of one page

  // The receiver of a result: token 0: nobody. `version`: of the record that asks, so of its reply.
  struct Asker {
    uint16_t slot = 0;
    uint8_t version = 0;
    uint64_t token = 0;
  };
  class Owner {
   public:
    // A part is finished for which take() said `later`.
    virtual void carried(const Asker& asker, CommandResult&& result) = 0;
    // Is it the next message of the channel's stream? False: its members get it in another way (recovery.h), or have it.
    virtual bool follows(const Channel& channel, const Position& at) = 0;
    // Nothing of this source waits any more.
    virtual void none_waits(uint64_t source) = 0;

   protected:
    ~Owner() = default;
  };
  enum class Taken : uint8_t { done, later, refused };

  PushCarrier(Runtime& runtime, Sessions& sessions, Hub& hub, Owner& owner)
      : runtime_(runtime), sessions_(sessions), hub_(hub), owner_(owner) {}
  ~PushCarrier();

  // `data`: the command's, wherever it lies. `result`, an empty one, is filled if the answer is `done`.
  Taken take(const Command& part, std::string_view data, uint64_t source, const Asker& asker,
             CommandResult* result);
  // One from another worker.
  static uint64_t source_of_worker(uint16_t slot) { return slot + uint64_t{1}; }
  // Its commands become parts in its own line, or, as publishes to streams that are at home here, in that of this worker.
  bool takes_from(uint16_t slot) const {
    return waiting(source_of_worker(slot)) < kMostOfAWorker &&
           waiting(source_of_worker(runtime_.slot)) < kMostOfAWorker;
  }
  // Calls `work` when all that waits of this source now is done: with the deliveries that it may still do, as often as it says that
  // there is more.
  using Work = std::function<bool(size_t& left)>;
  void in_line(uint64_t source, Work work);
  // Only within `work`: this command comes next, before all that waits of its source.
  void next_in_line(Command&& command);
  void next_in_line(Work work);
  // Once a turn. True: there is more to do.
  bool carry_on();
  // Everything, now.
  void finish();

  bool idle() const { return lines_.empty(); }
  bool congested() const;
  size_t waiting(uint64_t source) const {
    if (lines_.empty()) return 0;
    auto it = lines_.find(source);
    return it == lines_.end() ? 0 : it->second.size();
  }
  // For tests: deliveries in one slice, and at once in one turn.
  void slice(size_t deliveries) { slice_ = a_turn_ = left_ = deliveries; }

 private:
  // How far a command has come: its sessions, then its users and channels, then all sessions.
  struct Progress {
    size_t session = 0;
    size_t name = 0;       // in users, and after them channels
    bool walking = false;  // amid the members of that name, or amid all sessions
  };
  struct Task {
    Command command;
    Payload payload;  // of command.data
    Asker asker;
    size_t weight;
    Progress progress = {};
    CommandResult result = {};
    Work work = {};  // instead of the command
    size_t bytes() const { return sizeof *this + command.encoded_bytes(); }
  };
  // Of one name.
  struct Addressees {
    const Channel* channel = nullptr;
    std::vector<const Channel*> patterns;
    size_t cost = 0;
  };
  using Line = std::deque<std::unique_ptr<Task>>;

  bool is_of_another_worker(uint64_t source) const {
    return source - 1 < kMostWorkers && source != source_of_worker(runtime_.slot);
  }
  bool runs_at_once(const Command& part, uint64_t source) const;
  Taken queue(std::unique_ptr<Task> task, uint64_t source, bool begun);
  static std::unique_ptr<Task> task_of(Command&& command, const Asker& asker);
  void count_task(const Task& task);
  bool is_small(const Command& part) const;
  size_t weight_of(const Command& part) const;
  Addressees addressees(const Command& part, std::string_view name) const;
  void step();

  // All of these: true: done; false: `left` is used up.
  bool go_on(const Command& part, Payload& payload, Progress& at, CommandResult* result,
             size_t& left);
  bool to_sessions(const Command& part, Payload& payload, Progress& at, CommandResult* result,
                   size_t& left);
  bool to_names(const Command& part, Payload& payload, Progress& at, CommandResult* result,
                size_t& left);
  bool to_name(std::string_view name, const Command& part, Payload& payload, Progress& at,
               CommandResult* result, size_t& left);
  bool walk(const Command& part, Payload& payload, Progress& at, CommandResult* result,
            size_t& left);
  bool to_all(const Command& part, Payload& payload, Progress& at, CommandResult* result,
              size_t& left);

  void whole_channel(const Channel& channel, const Command& part, Payload& payload,
                     CommandResult* result);
  void give(Subscriber& subscriber, const Command& part, Payload& payload, const Progress& at,
            CommandResult* result) const;
  void to_pattern(const Channel& pattern, std::string_view name, Payload& payload,
                  CommandResult* result) const;
  void begin_publish(const Channel& channel, const Command& part, Payload& payload) const;
  void publish(const Channel& channel, Payload& payload, const Command& part,
               CommandResult* result);
  void note_publish(const Channel& channel, const Payload& payload);
  void apply_to(Session& session, const Command& part, Payload& payload, Urgency urgency,
                CommandResult* result);
  void join(Session& session, const Command& part, CommandResult* result);

  void answer(const Command& part, CommandResult* result) const;  // a question
  void describe(const Session& session, CommandResult* result) const;
  void list_members(std::string_view channel, const Page& page, CommandResult* result) const;
  void list_names(const Command& part, CommandResult* result) const;

  Runtime& runtime_;
  Sessions& sessions_;
  Hub& hub_;
  Owner& owner_;
  std::unordered_map<uint64_t, Line> lines_;  // by source; none is empty
  std::deque<uint64_t>
      turns_;  // sources; the first one's first task is the one that has begun, if one has
  size_t slice_ = kSlice;
  size_t a_turn_ = kATurn;
  size_t left_ = kATurn;                    // of this turn
  std::deque<std::unique_ptr<Task>> next_;  // of the source whose work is under way
  size_t tasks_ = 0;
  size_t bytes_ = 0;
  size_t weight_ = 0;      // of all but the one that has begun
  bool stepping_ = false;  // a command is being carried out on the stack: new ones wait
};

}  // namespace holdfast
