#include "worker/routing/recovery.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "worker/sessions/transport.h"

namespace holdfast {
namespace {

bool has_members_that_do_not_wait(const Channel& channel) {
  return channel.members.size() + channel.subscribers.size() > channel.catching_up;
}

// All after `offset` up to the last one of the stream.
bool covers(const std::vector<KeptMessage>& kept, uint64_t offset, const StreamState& stream) {
  return !kept.empty() && kept.front().offset <= offset + 1 &&
         kept.back().offset == stream.top.offset;
}

}  // namespace

Recovery::Recovery(Runtime& runtime, Sessions& sessions, Hub& hub, Streams& streams, Router& router,
                   PushCarrier& carrier)
    : runtime_(runtime),
      sessions_(sessions),
      hub_(hub),
      streams_(streams),
      router_(router),
      carrier_(carrier) {
  runtime.catch_up = this;
  hub.watch(*this);
}

// ---- who waits

void Recovery::begin(ChannelMember& who, std::string_view name, const Position& since) {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr) return;
  if (streams_.rule_of(name) == nullptr) {  // nothing to wait for, and nobody to ask
    not_kept_.push_back({&who, std::string(name), since.known()});
    return;
  }
  if (!hub_.set_catching_up(who, *channel, true)) return;  // waits already, or is no member
  wait_for(name).members.insert_or_assign(&who, Waiter{since, ++serial_});
  want(name);
}

Recovery::Wait& Recovery::wait_for(std::string_view channel) {
  Wait& wait = waits_[std::string(channel)];
  if (wait.id == 0) wait.id = ++serial_;
  return wait;
}

std::optional<Position> Recovery::since_of(const ChannelMember& who,
                                           std::string_view channel) const {
  auto wait = waits_.find(channel);
  if (wait == waits_.end()) return {};
  for (const auto* list : {&wait->second.members, &wait->second.later}) {
    auto member = list->find(const_cast<ChannelMember*>(&who));
    if (member != list->end()) return member->second.since;
  }
  return {};
}

void Recovery::left(const Channel& channel, const ChannelMember& who) {
  std::erase_if(not_kept_,
                [&](const NotKept& n) { return n.who == &who && n.channel == channel.name; });
  if (waits_.empty()) return;
  auto wait = waits_.find(channel.name);
  if (wait == waits_.end()) return;
  wait->second.members.erase(const_cast<ChannelMember*>(&who));
  wait->second.later.erase(const_cast<ChannelMember*>(&who));
}

void Recovery::last_left(std::string_view name) {
  auto wait = waits_.find(name);
  if (wait != waits_.end()) waits_.erase(wait);
  if (!queue_.empty()) queue_.erase(std::string(name));
}

// I3
bool Recovery::follows(const Channel& channel, const Position& at) {
  const Position& seen = channel.seen;
  if (!seen.known()) return true;
  bool same = seen.epoch == at.epoch;
  uint64_t next = same ? seen.offset + 1 : 1;
  if (at.offset == next) return true;
  if (same && at.offset < next) return false;
  Wait& wait = wait_for(channel.name);
  if (!std::exchange(wait.gap, true)) runtime_.stats.streams_gaps.add();
  if (wait.known.epoch != at.epoch || wait.known.offset < at.offset) wait.known = at;
  want(channel.name);
  return false;
}

void Recovery::note_top(std::string_view name, const Position& top) {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr || !channel->seen.known()) return;
  if (channel->seen.epoch == top.epoch && channel->seen.offset >= top.offset) return;
  Wait& wait = wait_for(name);
  if (!std::exchange(wait.gap, true)) runtime_.stats.streams_gaps.add();
  wait.known = top;
  want(name);
}

// ---- questions

void Recovery::want(std::string_view channel) {
  auto wait = waits_.find(channel);
  if (wait != waits_.end() && !wait->second.asked) queue_.emplace(channel);
}

void Recovery::hold(bool held) {
  held_ = held;
}

// I4
void Recovery::run() {
  if (not_kept_.empty() && queue_.empty()) return;
  for (NotKept& n : std::exchange(not_kept_, {}))
    tell(*n.who, {.channel = n.channel, .asked = n.asked});
  if (held_) return;
  while (!queue_.empty() && under_way_ < kMaxQuestions) {
    std::string channel = std::move(queue_.extract(queue_.begin()).value());
    auto wait = waits_.find(channel);
    if (wait != waits_.end() && !wait->second.asked) ask(channel, wait->second);
  }
}

void Recovery::tick() {
  for (const std::string& channel : std::exchange(failed_, {})) want(channel);
}

// Before everything that is missing here; unknown: nobody has named a position.
Position Recovery::oldest(const Channel& channel, const Wait& wait) const {
  Position oldest = wait.gap ? channel.seen : Position{};
  for (const auto& [who, waiter] : wait.members) {
    if (!waiter.since.known()) continue;
    if (!oldest.known()) oldest = waiter.since;
    if (oldest.epoch == waiter.since.epoch)
      oldest.offset = std::min(oldest.offset, waiter.since.offset);
  }
  return oldest;
}

void Recovery::ask(const std::string& name, Wait& wait) {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr) return;
  wait.asked = true;
  ++under_way_;
  auto answer = std::make_shared<Answer>();
  answer->channel = name;
  answer->since = oldest(*channel, wait);
  answer->serial = serial_;
  answer->wait = wait.id;
  Command question;
  question.op = Op::history;
  question.channels = {name};
  question.at = answer->since;
  question.begin = true;
  question.page.limit = answer->since.known() ? std::numeric_limits<uint32_t>::max() : 0;
  router_.execute(question, [this, answer](CommandResult&& result) {
    --under_way_;
    answer->result = std::move(result);
    carrier_.in_line(PushCarrier::source_of_worker(answer->result.answered_by),
                     [this, answer](size_t& left) { return carry_out(*answer, left); });
  });
}

// ---- answers

// True: it is done with.
bool Recovery::carry_out(Answer& answer, size_t& left) {
  auto at = waits_.find(answer.channel);
  const Channel* channel = hub_.find(answer.channel);
  if (at == waits_.end() || channel == nullptr || at->second.id != answer.wait) return true;
  Wait& wait = at->second;
  if (!answer.begun) {
    answer.begun = true;
    wait.asked = false;
    if (!answer.result.stream || !answer.result.stream->top.known() || answer.result.partial) {
      failed(*channel, wait);
      return true;
    }
    wait.failed_since_ms = 0;
    Gap gap = close_gap(*channel, wait, answer);
    if (gap == Gap::ask_again) {
      want(answer.channel);
      return true;
    }
    if (gap == Gap::filled) {  // those who wait come after the messages that the others get now
      auto rest = std::make_shared<Answer>(std::move(answer));
      carrier_.next_in_line([this, rest](size_t& l) { return carry_out(*rest, l); });
      return true;
    }
  }
  if (!serve(*channel, wait, answer, left)) return false;
  wait.members.merge(wait.later);
  if (!wait.members.empty() || wait.gap)
    want(answer.channel);
  else
    waits_.erase(at);
  return true;
}

// The members that do not wait.
Recovery::Gap Recovery::close_gap(const Channel& channel, Wait& wait, const Answer& answer) {
  const StreamState& stream = *answer.result.stream;
  const std::vector<KeptMessage>& kept = answer.result.kept;
  Position& seen = channel.seen;
  bool same = seen.epoch == stream.top.epoch;
  if (!seen.known() || !has_members_that_do_not_wait(channel)) {
    if (!same || seen.offset < stream.top.offset) seen = stream.top;
    wait.gap = is_behind(channel, wait);
    return Gap::none;
  }
  uint64_t from = same ? seen.offset : 0;
  if (from >= stream.top.offset) {
    wait.gap = is_behind(channel, wait);
    return Gap::none;
  }
  if (covers(kept, from, stream)) {
    for (const KeptMessage& message : kept) {
      if (message.offset <= from) continue;
      Command missing;
      missing.op = Op::publish;
      missing.binary = message.binary;
      missing.channels = {answer.channel};
      missing.data = message.data;
      missing.at = {stream.top.epoch, message.offset};
      missing.repeated = true;
      carrier_.next_in_line(std::move(missing));
    }
    wait.gap = wait.known.epoch == stream.top.epoch && wait.known.offset > stream.top.offset;
    return Gap::filled;
  }
  bool asked_for_it = answer.since.epoch == stream.top.epoch && answer.since.offset <= from;
  bool is_kept = stream.first != 0 && stream.first <= from + 1;
  if (is_kept && !asked_for_it) {
    wait.gap = true;
    if (!same) seen = {stream.top.epoch, 0};
    return Gap::ask_again;
  }
  runtime_.stats.streams_gaps_unfilled.add();
  seen = stream.top;
  wait.gap = is_behind(channel, wait);
  CaughtUp told{.channel = channel.name, .at = stream.top};
  for (const auto* list : {&channel.members, &channel.subscribers})
    for (const Channel::Member& m : *list)
      if (!is_catching_up(m)) tell(*m.who, told);
  return Gap::none;
}

bool Recovery::is_behind(const Channel& channel, const Wait& wait) const {
  return wait.known.epoch == channel.seen.epoch && wait.known.offset > channel.seen.offset;
}

Recovery::Verdict Recovery::judge(const Waiter& waiter, const Answer& answer) {
  const StreamState& stream = *answer.result.stream;
  const Position& since = waiter.since;
  bool in_answer = waiter.serial <= answer.serial;  // the question was asked for it, too
  if (since.epoch != stream.top.epoch || since.offset > stream.top.offset)
    return in_answer ? Verdict::unrecovered : Verdict::ask_again;
  if (since.offset == stream.top.offset || covers(answer.result.kept, since.offset, stream))
    return Verdict::recovered;
  bool is_kept = stream.first != 0 && stream.first <= since.offset + 1;
  bool asked_for_it = answer.since.epoch == since.epoch && answer.since.offset <= since.offset;
  return is_kept && !asked_for_it ? Verdict::ask_again : Verdict::unrecovered;
}

// False: `left` is used up.
bool Recovery::serve(const Channel& channel, Wait& wait, Answer& answer, size_t& left) {
  const Position& top = answer.result.stream->top;
  // Later messages have gone past those who wait: another home sent them, or there was a pause between two slices.
  bool old = channel.seen.epoch == top.epoch && channel.seen.offset > top.offset;
  for (auto it = wait.members.begin(); it != wait.members.end();) {
    if (left == 0) return false;
    auto [who, waiter] = *it;
    bool asked = waiter.since.known();
    Verdict verdict = old ? Verdict::ask_again : asked ? judge(waiter, answer) : Verdict::recovered;
    left -= std::min<size_t>(left, 1);
    it = wait.members.erase(it);
    if (verdict == Verdict::ask_again) {
      wait.later.emplace(who, waiter);
      continue;
    }
    hub_.set_catching_up(*who, channel, false);
    bool recovered = verdict == Verdict::recovered;
    if (asked)
      (recovered ? runtime_.stats.streams_recovered : runtime_.stats.streams_unrecovered).add();
    tell(*who, {.channel = channel.name, .asked = asked, .recovered = recovered, .at = top});
    if (asked && recovered)
      left -= std::min(left, give(*who, channel, answer, waiter.since.offset));
  }
  return true;
}

// How many messages those were.
size_t Recovery::give(ChannelMember& who, const Channel& channel, Answer& answer,
                      uint64_t after) const {
  const std::vector<KeptMessage>& kept = answer.result.kept;
  if (answer.messages.empty()) {  // each is framed once for all
    answer.messages.reserve(kept.size());
    for (const KeptMessage& message : kept)
      answer.messages.emplace_back(message.data, message.binary);
  }
  size_t given = 0;
  for (size_t i = 0; i < kept.size(); ++i) {
    if (kept[i].offset <= after) continue;
    Payload& message = answer.messages[i];
    message.came_from(channel.name, {answer.result.stream->top.epoch, kept[i].offset});
    message.go_to(channel.rule, channel.tag, channel.name);
    ++given;
    // A message that is dropped by a policy is counted there, and the next one may fit.
    if (who.session)
      sessions_.deliver(session_of(who), message, Urgency::bulk);
    else
      static_cast<Subscriber&>(who).published(channel.name, message, Urgency::bulk);
  }
  return given;
}

void Recovery::tell(ChannelMember& who, const CaughtUp& told) const {
  if (!who.session)
    static_cast<Subscriber&>(who).caught_up(told);
  else if (Transport* transport = session_of(who).transport; transport != nullptr)
    transport->caught_up(told);
}

// The home has not answered.
void Recovery::failed(const Channel& channel, Wait& wait) {
  if (wait.failed_since_ms == 0) wait.failed_since_ms = runtime_.now_ms;
  if (runtime_.now_ms - wait.failed_since_ms < kPatienceMs) {
    failed_.push_back(channel.name);
    return;
  }
  for (const auto& [who, waiter] : std::exchange(wait.members, {})) {
    hub_.set_catching_up(*who, channel, false);
    if (waiter.since.known()) runtime_.stats.streams_unrecovered.add();
    tell(*who, {.channel = channel.name, .asked = waiter.since.known()});
  }
  // With the next message of the channel it is asked again.
  waits_.erase(waits_.find(channel.name));
}

}  // namespace holdfast
