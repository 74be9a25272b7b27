#include "worker/routing/push_router.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "worker/routing/push_ops.h"
#include "worker/routing/result_record.h"
#include "worker/sessions/transport.h"

namespace holdfast {
namespace {

// A push to sessions is answered by the directory at once. Everything else is answered by those who carried it out: only they
// know how many members they have, and who was told that a session has joined must be able to publish to it.
bool answered_by_workers(const Command& c) {
  return c.op != Op::send;
}

bool everybody(Op op) {
  return op == Op::send_all || op == Op::list_channels || op == Op::list_users;
}

void finish(CommandResult&& result, uint32_t limit, const CommandDone& done) {
  if (!done) return;
  settle_lists(result, limit);
  done(std::move(result));
}

}  // namespace

PushRouter::PushRouter(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub)
    : runtime_(runtime),
      segment_(*heritage.segment),
      sessions_(sessions),
      post_(runtime, heritage, *this),
      carrier_(runtime, sessions, hub, *this),
      streams_(runtime, segment_.streams()),
      home_(runtime, streams_, post_, carrier_, segment_.filter(),
            [this](std::string_view channel, const Position& top) {
              recovery_.note_top(channel, top);
            }),
      recovery_(runtime, sessions, hub, streams_, *this, carrier_),
      worker_count_(heritage.worker_count),
      routes_(streams_.shards()),
      directory_(segment_.directory()),
      filter_(segment_.filter()),
      next_token_(monotonic_ns()) {
  post_.read_with(RecordKind::command,
                  [this](uint16_t from, std::string_view body) { on_command(from, body); });
  post_.read_with(RecordKind::reply, [this](uint16_t, std::string_view body) { on_reply(body); });
}

// ---- dividing

Command& PushRouter::part_for(std::vector<Part>& parts, const Command& whole, Op op,
                              uint16_t slot) {
  for (Part& part : parts)
    if (part.slot == slot && part.command.op == op) return part.command;
  Command part;
  part.op = op;
  part.binary = whole.binary;
  part.merge = whole.merge;
  part.sharded = whole.sharded;
  part.code = whole.code;
  part.exclude = parts.empty() ? whole.exclude : parts.front().command.exclude;
  if (parts.empty()) std::sort(part.exclude.begin(), part.exclude.end(), before);
  part.pairs = whole.pairs;
  part.reason = whole.reason;
  part.page = whole.page;
  part.at = whole.at;
  if (op == Op::append) part.version = whole.version;
  part.reverse = whole.reverse;
  part.begin = whole.begin;
  if (!is_for_home(op) && !channels_address(whole.op)) part.channels = whole.channels;
  if (!users_address(whole.op)) part.users = whole.users;
  parts.push_back({slot, std::move(part)});
  return parts.back().command;
}

std::vector<PushRouter::Part> PushRouter::divide(const Command& command, CommandResult* result) {
  std::vector<Part> parts;
  for (const shm::SessionId& id : command.sessions) {
    std::optional<uint16_t> owner = owner_of(id);
    if (owner) {
      part_for(parts, command, command.op, *owner).sessions.push_back(id);
    } else {
      result->unknown.push_back(id);
    }
  }
  if (users_address(command.op)) {
    for (const std::string& user : command.users)
      filter_.for_each(user_channel(user), [&](uint32_t slot) {
        part_for(parts, command, command.op, uint16_t(slot)).users.push_back(user);
      });
  }
  if (channels_address(command.op)) {
    for (const std::string& channel : command.channels) {
      if (has_stream(command, channel)) {
        part_for(parts, command, Op::append, home_of(channel)).channels.push_back(channel);
        continue;
      }
      auto add = [&](uint32_t slot) {
        part_for(parts, command, command.op, uint16_t(slot)).channels.push_back(channel);
      };
      if (goes_to_patterns(command, channel))
        filter_.for_each_of(channel, kAnyPattern, add);
      else
        filter_.for_each(channel, add);
    }
  }
  if (is_for_home(command.op) && streams_.any())
    for (const std::string& channel : command.channels)
      part_for(parts, command, command.op, home_of(channel)).channels.push_back(channel);
  if (everybody(command.op)) {
    for (uint16_t slot = 0; slot < segment_.capacities().max_workers; ++slot)
      if (slot == runtime_.slot || post_.served(slot)) part_for(parts, command, command.op, slot);
  }
  return parts;
}

// Is this a message for it?
bool PushRouter::has_stream(const Command& command, const std::string& channel) const {
  return command.op == Op::publish && streams_.any() && !command.unkept && !command.sharded &&
         !command.at.known() && streams_.rule_of(channel) != nullptr;
}

// I3
uint16_t PushRouter::home_of(const std::string& channel) {
  Route& route = routes_[streams_.shard_index(channel)];
  if (route.unanswered == 0 || !post_.served(route.home)) route.home = streams_.home_of(channel);
  return route.home;
}

// The slot of a session that can be reached; a push to any other is counted.
std::optional<uint16_t> PushRouter::owner_of(const shm::SessionId& id) {
  std::optional<uint16_t> owner = directory_.find(id);
  if (owner && (*owner == runtime_.slot || post_.served(*owner))) return owner;
  runtime_.stats.push_no_session.add();
  return {};
}

bool PushRouter::post_part(uint16_t slot, uint64_t token, const Command& part,
                           std::string_view data) {
  std::string body;
  body.reserve(sizeof token + part.encoded_bytes() + data.size());
  ByteWriter(body).put(token);
  part.encode_to(body, data);
  return post_.send(slot, RecordKind::command, body);
}

void PushRouter::count(const Command& command) {
  switch (command.op) {
    case Op::send:
      return runtime_.stats.push_send.add(command.sessions.size());
    case Op::send_user:
      return runtime_.stats.push_send_user.add(command.users.size());
    case Op::send_all:
      return runtime_.stats.push_send_all.add();
    case Op::publish:
      return runtime_.stats.push_publish.add(command.sharded ? 1 : command.channels.size());
    default:
      return changes_state(command.op) ? runtime_.stats.push_changes.add()
                                       : runtime_.stats.push_questions.add();
  }
}

void PushRouter::execute(const Command& command, CommandDone done) {
  count(command);
  if (command.op == Op::send && command.sessions.size() == 1) return execute_send(command, done);
  Pending pending{.done = std::move(done),
                  .limit = std::min(command.page.limit, kMaxPage),
                  .source = command.source};
  CommandResult& result = pending.result;
  std::vector<Part> parts = divide(command, &result);
  bool ask = (pending.done && answered_by_workers(command)) ||
             std::any_of(parts.begin(), parts.end(),
                         [](const Part& part) { return is_for_home(part.command.op); });
  bool full = ask && pending_.size() >= kMaxPending;  // I2
  uint64_t token = ask && !full ? next_token_++ : 0;
  bool asked = false;
  for (const Part& part : parts) {
    Given given = give(part, command, token, pending);
    if (given == Given::refused) {
      ++result.workers_failed;
      result.failed.insert(result.failed.end(), part.command.sessions.begin(),
                           part.command.sessions.end());
    } else if (given == Given::later) {
      if (!answered_by_workers(command)) result.delivered += part.command.sessions.size();
      asked = true;
    }
  }
  if (full && asked) {
    result.partial = true;
    runtime_.stats.push_partial.add();
  }
  if (token == 0 || pending.complete())
    return finish(std::move(result), pending.limit, pending.done);
  for (uint32_t shard : pending.shards) ++routes_[shard].unanswered;
  if (pending.to_streams) ++to_streams_[pending.source];
  deadlines_.emplace_back(runtime_.now_ms + kReplyDeadlineMs, token);
  pending_.emplace(token, std::move(pending));
}

// One part: here, or to another worker. What it has to say later is counted in `pending`.
PushRouter::Given PushRouter::give(const Part& part, const Command& whole, uint64_t token,
                                   Pending& pending) {
  bool for_home = is_for_home(part.command.op);
  if (part.slot == runtime_.slot && for_home) {
    CommandResult own;
    home_.carry_out(part.command, whole.data,
                    {.slot = runtime_.slot, .version = kRecordVersion, .token = token}, &own);
    pending.to_streams = true;
    pending.missing += int(std::exchange(own.expected, 0));
    pending.passed_on += int(std::exchange(own.passed_on, 0));
    merge_own(std::move(own), pending.result);
    return pending.complete() ? Given::done : Given::later;
  }
  Given given = part.slot == runtime_.slot
                    ? carry(part.command, whole.data, whole.source, token, pending.result)
                : post_part(part.slot, token, part.command, whole.data) ? Given::later
                                                                        : Given::refused;
  if (given != Given::later) return given;
  if (!for_home) {
    ++pending.missing;
    return given;
  }
  ++pending.homes;
  pending.to_streams = true;
  for (const std::string& channel : part.command.channels)
    pending.shards.push_back(streams_.shard_index(channel));
  return given;
}

// This worker's part.
PushRouter::Given PushRouter::carry(const Command& part, std::string_view data, uint64_t source,
                                    uint64_t token, CommandResult& result) {
  CommandResult own;
  Given given = carrier_.take(part, data, source, {.slot = runtime_.slot, .token = token}, &own);
  if (given == Given::done) merge_own(std::move(own), result);
  return given;
}

// The commonest of all, without parts: nothing is copied but the payload.
void PushRouter::execute_send(const Command& command, const CommandDone& done) {
  CommandResult result;
  std::optional<uint16_t> owner = owner_of(command.sessions[0]);
  if (!owner) {
    result.unknown = command.sessions;
  } else if (*owner == runtime_.slot) {
    Given given =
        carrier_.take(command, command.data, command.source, {.slot = runtime_.slot}, &result);
    if (given == Given::later) result.delivered = 1;
    if (given == Given::refused) {
      result.workers_failed = 1;
      result.failed = command.sessions;
    }
  } else if (post_part(*owner, 0, command, command.data)) {
    result.delivered = 1;
  } else {
    result.workers_failed = 1;
    result.failed = command.sessions;
  }
  if (done) done(std::move(result));
}

// ---- answers

void PushRouter::reply(const PushCarrier::Asker& to, CommandResult&& result) {
  if (to.slot == runtime_.slot) return carried(to, std::move(result));
  // Half a ring at most, so that two fit. A failure is counted there; the asker answers `partial`.
  for (const std::string& record :
       result_records(to.token, result, post_.max_body() / 2, to.version))
    if (!post_.send(to.slot, RecordKind::reply, record)) return;
}

void PushRouter::on_reply(std::string_view body) {
  uint64_t token = 0;
  if (!read_record_token(body, &token)) return runtime_.stats.push_bad_record.add();
  auto it = pending_.find(token);
  if (it == pending_.end()) return runtime_.stats.push_late_reply.add();
  CommandResult& result = it->second.result;
  bool last = false;
  if (!merge_record(body, result, &last)) {
    runtime_.stats.push_bad_record.add();
    result.partial = true;  // what was readable counts; without a last piece the deadline ends it
  }
  if (last) answer_came(it, result);
}

void PushRouter::carried(const PushCarrier::Asker& asker, CommandResult&& result) {
  if (asker.slot != runtime_.slot) return reply(asker, std::move(result));
  auto it = pending_.find(asker.token);
  if (it == pending_.end()) return runtime_.stats.push_late_reply.add();
  CommandResult::Of of = result.of;
  merge_own(std::move(result), it->second.result);
  it->second.result.of = of;
  answer_came(it, it->second.result);
}

// A whole answer is in `result`, of a home or of another worker, with what it says of others.
void PushRouter::answer_came(Answers::iterator it, CommandResult& result) {
  Pending& pending = it->second;
  pending.missing += int(std::exchange(result.expected, 0));
  pending.passed_on += int(std::exchange(result.passed_on, 0));
  switch (std::exchange(result.of, CommandResult::Of::worker)) {
    case CommandResult::Of::home:
      --pending.homes;
      break;
    case CommandResult::Of::next_home:
      --pending.passed_on;
      break;
    case CommandResult::Of::worker:
      --pending.missing;
      break;
  }
  if (pending.complete()) end(it, false);
}

// I1
void PushRouter::end(Answers::iterator it, bool partial) {
  Pending finished = std::move(it->second);
  pending_.erase(it);
  for (uint32_t shard : finished.shards) --routes_[shard].unanswered;
  if (partial) {
    finished.result.partial = true;
    runtime_.stats.push_partial.add();
  }
  finish(std::move(finished.result), finished.limit, finished.done);
  if (!finished.to_streams) return;
  auto at = to_streams_.find(finished.source);
  if (at == to_streams_.end() || --at->second > 0) return;
  to_streams_.erase(at);
  if (waiting(finished.source) == 0) none_waits(finished.source);
}

size_t PushRouter::waiting(uint64_t source) const {
  auto at = to_streams_.find(source);
  return carrier_.waiting(source) + (at == to_streams_.end() ? 0 : at->second);
}

// ---- waiting

uint64_t Router::source_of(const Session& session) {
  return session.id.lo;
}

void PushRouter::hold_while_waiting(Session& session) {
  if (waiting(source_of(session)) == 0 || session.transport == nullptr) return;
  session.transport->pause_reading(true);
  held_.insert_or_assign(source_of(session), session.id);
}

void PushRouter::none_waits(uint64_t source) {
  if (waiting(source) > 0) return;
  auto it = held_.find(source);
  if (it == held_.end()) return;
  Session* session = sessions_.find(it->second);
  held_.erase(it);
  if (session != nullptr && session->transport != nullptr) session->transport->pause_reading(false);
}

void PushRouter::finish_all() {
  carrier_.finish();
}

void PushRouter::begin_serving() {
  streams_.begin_serving();
  recovery_.hold(false);
}

void PushRouter::tick() {
  while (!deadlines_.empty() && deadlines_.front().first <= runtime_.now_ms) {
    uint64_t token = deadlines_.front().second;
    deadlines_.pop_front();
    auto it = pending_.find(token);
    if (it != pending_.end()) end(it, true);
  }
  if (!streams_.any()) return;
  ticks_away_ = streams_.is_home_of_any() ? 0 : ticks_away_ + 1;
  streams_.tick(worker_count_, segment_);
  home_.tick();
  recovery_.tick();
}

void PushRouter::on_command(uint16_t from, std::string_view body) {
  ByteReader reader(body);
  auto token = reader.get<uint64_t>();
  std::optional<Command> part;
  if (reader.ok()) part = Command::decode(body.substr(sizeof token));
  if (!part || part->answer_to > slots()) return runtime_.stats.push_bad_record.add();
  if (part->op == Op::note_top)
    return part->channels.empty() ? runtime_.stats.push_bad_record.add()
                                  : recovery_.note_top(part->channels.front(), part->at);
  PushCarrier::Asker asker{.slot = part->answer_to != 0 ? uint16_t(part->answer_to - 1) : from,
                           .version = record_version(body.substr(sizeof token)),
                           .token = token};
  CommandResult result;
  if (is_for_home(part->op)) {
    home_.carry_out(*part, part->data, asker, &result);
    result.of = part->answer_to == 0 ? CommandResult::Of::home : CommandResult::Of::next_home;
    if (token != 0) reply(asker, std::move(result));
    return;
  }
  Given given =
      carrier_.take(*part, part->data, PushCarrier::source_of_worker(from), asker, &result);
  if (given == Given::done && token != 0) reply(asker, std::move(result));
}

}  // namespace holdfast
