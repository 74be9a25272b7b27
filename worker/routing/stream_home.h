// worker/routing/stream_home.h - what the home of a channel does with a publish to its stream, and with questions about it.
//
//   publisher's worker     append ->  home                            -> publish, with its position ->  workers with members
//                                     Streams::append()                  (their answers go to the publisher's worker)
//                          <- reply: position, how many others answer
//
// The parts of one channel leave here in the order of their offsets, over one ring for each worker, and in the own worker over one line
// of PushCarrier. A part that a worker cannot take is not lost, and the publish has not failed: that worker is told of the last
// position as soon as there is room (note_top), and asks for what it has not got (recovery.h).
//
// A command that comes here after the shard has got another home goes on to that one; so nothing is lost while shards move.
//
// After a crash of a home: the record that it was busy with is read again by its successor, which finds the message by its mark.
// And whoever becomes the home of a shard tells all workers of channels that had a message in the last kRecentMs, for the last of
// them may have been kept and not handed on.
#pragma once

#include <functional>
#include <string>
#include <string_view>
#include <unordered_set>
#include <utility>
#include <vector>

#include "worker/channels/streams.h"
#include "worker/routing/post.h"
#include "worker/routing/push_carrier.h"

namespace holdfast {

class StreamHome {
 public:
  static constexpr uint64_t kRecentMs = 60'000;
  static constexpr size_t kMaxBehind = 65'536;  // channels that one worker is told of later

  // note_top for this worker itself.
  using OnOwn = std::function<void(std::string_view channel, const Position& top)>;

  StreamHome(Runtime& runtime, Streams& streams, Post& post, PushCarrier& carrier,
             shm::ChannelFilter filter, OnOwn on_own)
      : runtime_(runtime),
        streams_(streams),
        post_(post),
        carrier_(carrier),
        filter_(filter),
        on_own_(std::move(on_own)),
        behind_(post.slots()) {}

  // An operation of is_for_home(). `asker` gets the answers of the other workers; what this one has to say comes in `result`.
  void carry_out(const Command& command, std::string_view data, const PushCarrier::Asker& asker,
                 CommandResult* result);
  void tick();

 private:
  static constexpr size_t kTopsATick = 1'024;

  void append(const Command& command, std::string_view data, const PushCarrier::Asker& asker,
              CommandResult* result);
  void fan_out(const Command& whole, std::string_view channel, const Position& at,
               std::string_view data, const PushCarrier::Asker& asker, CommandResult* result);
  void pass_on(const Command& whole, const std::string& channel, std::string_view data,
               const PushCarrier::Asker& asker, CommandResult* result);
  bool post(uint16_t slot, uint64_t token, const Command& command, std::string_view data);
  void is_behind(uint16_t slot, std::string_view channel);
  bool note_top(uint16_t slot, const std::string& channel);
  void announce();

  Runtime& runtime_;
  Streams& streams_;
  Post& post_;
  PushCarrier& carrier_;
  shm::ChannelFilter filter_;
  OnOwn on_own_;
  std::vector<std::unordered_set<std::string>> behind_;  // by slot
};

}  // namespace holdfast
