// worker/routing/recovery.h - members of this worker that have missed messages of a stream get them from the channel's home.
//
// Two reasons to ask a home for the messages after a position: a member that has come back (CatchUp), and a gap: the next message of the
// stream that comes here is not the one after the last (follows()), or the home says that there are more (note_top()). There is at
// most one question for each channel under way. Its answer is carried out in the line of the home's commands (PushCarrier::in_line), where
// everything before it is in it and everything after it is not: no buffer, no merge.
//
//   member          event                                -> member       action
//   waiting         published here                          waiting      it is passed over (Membership::catching_up)
//   waiting         answer has all after its position       live         told, then the messages
//   waiting         answer says that some are gone          live         told so, with the present position; no messages
//   waiting         answer to an older question             waiting      asked again
//   waiting         no answer for kPatienceMs               live         told so, without a position
//
// Invariants
//   I1  A member is told of its question once, before anything of the channel's stream after its position, unless it leaves before.
//   I2  `recovered` is said only if every message between its position and the last one is delivered to it, or its connection ends.
//   I3  Channel::seen is what all members that do not wait have got. They get a stream's messages in order and each once, or are told.
//   I4  At most kMaxQuestions are under way; others wait for their turn.
// At a handover: sessions that wait travel as such (since_of()); no question is under way then (hold(), settled()).
#pragma once

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

#include "base/hash.h"
#include "worker/channels/catch_up.h"
#include "worker/channels/hub.h"
#include "worker/channels/streams.h"
#include "worker/routing/push_carrier.h"
#include "worker/routing/router.h"
#include "worker/sessions/table.h"

namespace holdfast {

class Recovery final : public CatchUp, private ChannelWatcher {
 public:
  static constexpr uint64_t kPatienceMs =
      15'000;  // a worker that dies again and again is started with pauses
  // Their answers together, Streams::kMaxAnswer each, fit the overflow of a mailbox.
  static constexpr size_t kMaxQuestions = 16;

  Recovery(Runtime& runtime, Sessions& sessions, Hub& hub, Streams& streams, Router& router,
           PushCarrier& carrier);

  void begin(ChannelMember& who, std::string_view channel, const Position& since) override;
  std::optional<Position> since_of(const ChannelMember& who,
                                   std::string_view channel) const override;
  // May the members of the channel get this message now?  // I3
  bool follows(const Channel& channel, const Position& at);
  // From the home of the channel: this is its last message.
  void note_top(std::string_view channel, const Position& top);

  // No question is begun while it is held.
  void hold(bool held);
  // Asks for those that have come to wait; once a turn.
  void run();
  bool settled() const { return under_way_ == 0; }
  void tick();

 private:
  struct Waiter {
    Position since;
    uint64_t serial;  // of begin()
  };
  struct Wait {
    std::unordered_map<ChannelMember*, Waiter> members;
    std::unordered_map<ChannelMember*, Waiter>
        later;           // of members: those that the answer under way is too old for
    uint64_t id = 0;     // an answer to a question of another one is of no use
    bool gap = false;    // Channel::seen is behind
    Position known;      // with gap: the last message that is known of
    bool asked = false;  // a question is under way
    uint64_t failed_since_ms = 0;
  };
  struct Answer {
    std::string channel;
    Position since;       // of the question
    uint64_t serial = 0;  // of the last begin() before it
    uint64_t wait = 0;    // Wait::id
    CommandResult result;
    std::vector<Payload> messages;  // of result.kept, once one of them is given
    bool begun = false;
  };
  struct NotKept {  // of a channel without a stream
    ChannelMember* who;
    std::string channel;
    bool asked;
  };
  enum class Gap : uint8_t { none, filled, ask_again };
  using Waits = std::unordered_map<std::string, Wait, NameHash, std::equal_to<>>;

  void left(const Channel& channel, const ChannelMember& who) override;
  void last_left(std::string_view name) override;

  void want(std::string_view channel);
  void ask(const std::string& channel, Wait& wait);
  Position oldest(const Channel& channel, const Wait& wait) const;
  bool carry_out(Answer& answer, size_t& left);
  Gap close_gap(const Channel& channel, Wait& wait, const Answer& answer);
  bool serve(const Channel& channel, Wait& wait, Answer& answer, size_t& left);
  enum class Verdict : uint8_t { recovered, unrecovered, ask_again };
  static Verdict judge(const Waiter& waiter, const Answer& answer);
  void tell(ChannelMember& who, const CaughtUp& told) const;
  size_t give(ChannelMember& who, const Channel& channel, Answer& answer, uint64_t after) const;
  void failed(const Channel& channel, Wait& wait);
  Wait& wait_for(std::string_view channel);
  bool is_behind(const Channel& channel, const Wait& wait) const;

  Runtime& runtime_;
  Sessions& sessions_;
  Hub& hub_;
  Streams& streams_;
  Router& router_;
  PushCarrier& carrier_;
  Waits waits_;
  std::unordered_set<std::string> queue_;  // channels that are to be asked for
  std::vector<std::string> failed_;        // those that are asked for again at the next tick
  std::vector<NotKept> not_kept_;          // to be told so
  size_t under_way_ = 0;
  uint64_t serial_ = 0;
  bool held_ = false;
};

}  // namespace holdfast
