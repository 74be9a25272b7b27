#include "worker/routing/stream_home.h"

#include <algorithm>

#include "base/bytes.h"
#include "worker/routing/push_ops.h"
#include "worker/routing/result_record.h"

namespace holdfast {
namespace {

// Of two publishes within 2^32 of a worker, another one.
uint32_t mark_of(const PushCarrier::Asker& asker) {
  return uint32_t(asker.token) ^ uint32_t(asker.slot) << 20;
}

}  // namespace

void StreamHome::carry_out(const Command& command, std::string_view data,
                           const PushCarrier::Asker& asker, CommandResult* result) {
  if (command.op == Op::append) return append(command, data, asker, result);
  if (command.channels.empty() || streams_.rule_of(command.channels.front()) == nullptr) return;
  const std::string& channel = command.channels.front();
  if (!streams_.is_home(channel)) return pass_on(command, channel, data, asker, result);
  if (command.op == Op::empty) {
    result->stream = streams_.empty(channel);
    result->answered_by = runtime_.slot;
    return;
  }
  StreamRange range{command.at, command.page.limit, command.reverse, command.begin};
  result->answered_by = runtime_.slot;
  result->stream = streams_.read(channel, range, command.begin, &result->kept);
}

void StreamHome::append(const Command& command, std::string_view data,
                        const PushCarrier::Asker& asker, CommandResult* result) {
  for (const std::string& channel : command.channels) {
    if (streams_.rule_of(channel) ==
        nullptr) {  // the configuration of the other worker is another one
      fan_out(command, channel, {}, data, asker, result);
      continue;
    }
    if (!streams_.is_home(channel)) {
      pass_on(command, channel, data, asker, result);
      continue;
    }
    Streams::Appended added = streams_.append(channel, {.data = data,
                                                        .binary = command.binary,
                                                        .version = command.version,
                                                        .mark = mark_of(asker),
                                                        .again = post_.reads_again()});
    result->positions.push_back({channel, added.at, added.superseded});
    if (!added.superseded) fan_out(command, channel, added.at, data, asker, result);
  }
}

void StreamHome::fan_out(const Command& whole, std::string_view channel, const Position& at,
                         std::string_view data, const PushCarrier::Asker& asker,
                         CommandResult* result) {
  Command part;
  part.op = Op::publish;
  part.binary = whole.binary;
  part.sharded = whole.sharded;
  part.exclude = whole.exclude;
  std::sort(part.exclude.begin(), part.exclude.end(), before);
  part.channels.emplace_back(channel);
  part.at = at;
  part.answer_to = uint16_t(asker.slot + 1);
  auto to = [&](uint32_t slot) {
    if (slot == runtime_.slot) {
      CommandResult own;
      auto given =
          carrier_.take(part, data, PushCarrier::source_of_worker(runtime_.slot), asker, &own);
      if (given == PushCarrier::Taken::done) merge_own(std::move(own), *result);
      if (given == PushCarrier::Taken::later && asker.token != 0) ++result->expected;
      if (given != PushCarrier::Taken::refused) return;
    } else if (post(uint16_t(slot), asker.token, part, data)) {
      if (asker.token != 0) ++result->expected;
      return;
    }
    result->partial = true;  // it will get it; nobody counts how many that are
    if (at.known()) is_behind(uint16_t(slot), channel);
  };
  if (goes_to_patterns(part, channel))
    filter_.for_each_of(channel, kAnyPattern, to);
  else
    filter_.for_each(channel, to);
}

// The shard has another home now.
void StreamHome::pass_on(const Command& whole, const std::string& channel, std::string_view data,
                         const PushCarrier::Asker& asker, CommandResult* result) {
  Command part = whole;
  part.channels = {channel};
  part.answer_to = uint16_t(asker.slot + 1);
  if (!post(streams_.home_of(channel), asker.token, part, data))
    result->partial = true;
  else if (asker.token != 0)
    ++result->passed_on;
}

bool StreamHome::post(uint16_t slot, uint64_t token, const Command& command,
                      std::string_view data) {
  std::string body;
  body.reserve(sizeof token + command.encoded_bytes() + data.size());
  ByteWriter(body).put(token);
  command.encode_to(body, data);
  return post_.send(slot, RecordKind::command, body);
}

// ---- workers that could not take a part

void StreamHome::is_behind(uint16_t slot, std::string_view channel) {
  if (behind_[slot].size() >= kMaxBehind) return runtime_.stats.streams_unannounced.add();
  behind_[slot].emplace(channel);
}

// False: it has no room yet.
bool StreamHome::note_top(uint16_t slot, const std::string& channel) {
  if (!streams_.is_home(channel)) return true;  // its new home has told all, or has nothing to tell
  Command note;
  note.op = Op::note_top;
  note.channels = {channel};
  note.at = streams_.read(channel, {}, false, nullptr).top;
  if (!note.at.known()) return true;
  if (slot != runtime_.slot) return post(slot, 0, note, {});
  on_own_(channel, note.at);
  return true;
}

void StreamHome::tick() {
  for (uint16_t slot = 0; slot < post_.slots(); ++slot) {
    std::unordered_set<std::string>& names = behind_[slot];
    if (!names.empty() && !post_.served(slot)) names.clear();  // its sessions are gone
    for (size_t n = 0; n < kTopsATick && !names.empty(); ++n) {
      if (!note_top(slot, *names.begin())) break;
      names.erase(names.begin());
    }
  }
  announce();
}

void StreamHome::announce() {
  for (uint32_t shard : streams_.take_fresh())
    streams_.for_each_recent(shard, kRecentMs, [&](const std::string& channel) {
      filter_.for_each(channel, [&](uint32_t slot) { is_behind(uint16_t(slot), channel); });
    });
}

}  // namespace holdfast
