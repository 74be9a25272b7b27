#include "worker/push_router.h"

#include <algorithm>
#include <span>

#include "base/bytes.h"
#include "base/clock.h"
#include "worker/client.h"
#include "worker/result_record.h"

namespace holdfast {
namespace {

// A push to sessions is answered by the directory at once. Everything else is answered by those who carried it out: only they
// know how many members they have, and who was told that a session has joined must be able to publish to it.
bool answered_by_workers(const Command& c) {
  return c.op != Op::send;
}

bool before(const shm::SessionId& a, const shm::SessionId& b) {
  return a.hi != b.hi ? a.hi < b.hi : a.lo < b.lo;
}

// A part's list is sorted: it is looked at for every member.
bool excluded(const Command& part, const shm::SessionId& id) {
  return std::binary_search(part.exclude.begin(), part.exclude.end(), id, before);
}

// Are `channels` the addressees (publish, kick, list_members), or arguments (join, leave)?
bool channels_address(Op op) {
  return op == Op::publish || op == Op::kick || op == Op::list_members;
}
bool goes_to_patterns(const Command& c, std::string_view channel) {
  return c.op == Op::publish && !c.sharded && kind_of(channel) == NameKind::channel;
}
bool users_address(Op op) {
  return op != Op::bind;
}
bool everybody(Op op) {
  return op == Op::send_all || op == Op::list_channels || op == Op::list_users;
}

// Of the names that are no channel's, sorted before all channels.
constexpr char kFirstOfChannels = '\3';
NameKind kind_listed(const Command& part) {
  if (part.op == Op::list_users) return NameKind::user;
  return part.channels.empty() ? NameKind::channel : kind_of(part.channels.front());
}

// Whoever subscribed as Redis's sharded channels are apart from all others gets what is published so, and nothing else.
std::span<const Channel::Member> subscribers_of(const Channel& channel, const Command& part) {
  if (part.sharded && kind_of(channel.name) != NameKind::shard) return {};
  return channel.subscribers;
}

// Places in a member list, newest first, workers one after the other (MemberView::position).
uint64_t position_of(uint16_t slot, size_t index) {
  return uint64_t(slot) << 32 | (UINT32_MAX - uint32_t(index));
}

void finish(CommandResult&& result, uint32_t limit, const CommandDone& done) {
  settle_lists(result, limit);
  done(std::move(result));
}

}  // namespace

PushRouter::PushRouter(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub)
    : runtime_(runtime),
      segment_(*heritage.segment),
      sessions_(sessions),
      hub_(hub),
      post_(runtime, heritage, *this),
      tracer_(runtime, post_, uint16_t(segment_.capacities().max_workers)),
      directory_(segment_.directory()),
      filter_(segment_.filter()),
      next_token_(monotonic_ns()) {
  runtime_.tracer = &tracer_;
}

// ---- dividing

Command& PushRouter::part_for(std::vector<Part>& parts, const Command& whole, uint16_t slot) {
  for (Part& part : parts)
    if (part.slot == slot) return part.command;
  Command part;
  part.op = whole.op;
  part.binary = whole.binary;
  part.merge = whole.merge;
  part.sharded = whole.sharded;
  part.code = whole.code;
  part.exclude = parts.empty() ? whole.exclude : parts.front().command.exclude;
  if (parts.empty()) std::sort(part.exclude.begin(), part.exclude.end(), before);
  part.pairs = whole.pairs;
  part.reason = whole.reason;
  part.page = whole.page;
  if (!channels_address(whole.op)) part.channels = whole.channels;
  if (!users_address(whole.op)) part.users = whole.users;
  parts.push_back({slot, std::move(part)});
  return parts.back().command;
}

std::vector<PushRouter::Part> PushRouter::divide(const Command& command, CommandResult* result) {
  std::vector<Part> parts;
  for (const shm::SessionId& id : command.sessions) {
    std::optional<uint16_t> owner = owner_of(id);
    if (owner) {
      part_for(parts, command, *owner).sessions.push_back(id);
    } else {
      result->unknown.push_back(id);
    }
  }
  if (users_address(command.op)) {
    for (const std::string& user : command.users)
      filter_.for_each(user_channel(user), [&](uint32_t slot) {
        part_for(parts, command, uint16_t(slot)).users.push_back(user);
      });
  }
  if (channels_address(command.op)) {
    for (const std::string& channel : command.channels) {
      auto add = [&](uint32_t slot) {
        part_for(parts, command, uint16_t(slot)).channels.push_back(channel);
      };
      if (goes_to_patterns(command, channel))
        filter_.for_each_of(channel, kAnyPattern, add);
      else
        filter_.for_each(channel, add);
    }
  }
  if (everybody(command.op)) {
    for (uint16_t slot = 0; slot < segment_.capacities().max_workers; ++slot)
      if (slot == runtime_.slot || post_.served(slot)) part_for(parts, command, slot);
  }
  return parts;
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
  return post_.send(slot, kCommand, body);
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
  CommandResult result;
  std::vector<Part> parts = divide(command, &result);
  uint32_t limit = std::min(command.page.limit, kMaxPage);
  bool ask = done && answered_by_workers(command);
  bool full = ask && pending_.size() >= kMaxPending;  // I2
  uint64_t token = ask && !full ? next_token_++ : 0;
  unsigned asked = 0;
  for (Part& part : parts) {
    if (part.slot == runtime_.slot) {
      merge_own(apply(part.command, command.data), result);
      continue;
    }
    if (!post_part(part.slot, token, part.command, command.data)) {
      ++result.workers_failed;
      result.failed.insert(result.failed.end(), part.command.sessions.begin(),
                           part.command.sessions.end());
      continue;
    }
    if (!answered_by_workers(command)) result.delivered += part.command.sessions.size();
    ++asked;
  }
  if (!done) return;
  if (full && asked > 0) {
    result.partial = true;
    runtime_.stats.push_partial.add();
  }
  if (token == 0 || asked == 0) return finish(std::move(result), limit, done);
  uint64_t deadline = runtime_.now_ms + kReplyDeadlineMs;
  pending_.emplace(token, Pending{std::move(result), std::move(done), asked, limit});
  deadlines_.emplace_back(deadline, token);
}

// The commonest of all, without parts: nothing is copied but the payload.
void PushRouter::execute_send(const Command& command, const CommandDone& done) {
  CommandResult result;
  std::optional<uint16_t> owner = owner_of(command.sessions[0]);
  if (!owner) {
    result.unknown = command.sessions;
  } else if (*owner == runtime_.slot) {
    result = apply(command, command.data);
  } else if (post_part(*owner, 0, command, command.data)) {
    result.delivered = 1;
  } else {
    result.workers_failed = 1;
    result.failed = command.sessions;
  }
  if (done) done(std::move(result));
}

// ---- answers

void PushRouter::reply(uint16_t to, uint64_t token, const CommandResult& result) {
  // Half a ring at most, so that two fit. A failure is counted there; the asker answers `partial`.
  for (const std::string& record : result_records(token, result, post_.max_body() / 2))
    if (!post_.send(to, kReply, record)) return;
}

void PushRouter::on_reply(std::string_view body) {
  uint64_t token = 0;
  if (!read_record_token(body, &token)) return runtime_.stats.push_bad_record.add();
  auto it = pending_.find(token);
  if (it == pending_.end()) return runtime_.stats.push_late_reply.add();
  Pending& pending = it->second;
  bool last = false;
  if (!merge_record(body, pending.result, &last)) {
    runtime_.stats.push_bad_record.add();
    pending.result.partial = true;
    last = true;
  }
  if (!last || --pending.missing > 0) return;
  Pending finished = std::move(pending);
  pending_.erase(it);
  finish(std::move(finished.result), finished.limit, finished.done);
}

void PushRouter::tick() {
  tracer_.tick();
  while (!deadlines_.empty() && deadlines_.front().first <= runtime_.now_ms) {
    uint64_t token = deadlines_.front().second;
    deadlines_.pop_front();
    auto it = pending_.find(token);
    if (it == pending_.end()) continue;
    Pending finished = std::move(it->second);
    pending_.erase(it);
    finished.result.partial = true;
    runtime_.stats.push_partial.add();
    finish(std::move(finished.result), finished.limit, finished.done);
  }
}

void PushRouter::on_record(uint16_t from, uint32_t kind, std::string_view body) {
  switch (kind) {
    case kCommand:
      return on_command(from, body);
    case kReply:
      return on_reply(body);
    case Tracer::kWatch:
      return tracer_.on_watch(from, body);
    case Tracer::kLine:
      return tracer_.on_line(body);
    default:
      runtime_.stats.push_bad_record.add();
  }
}

void PushRouter::on_command(uint16_t from, std::string_view body) {
  ByteReader reader(body);
  auto token = reader.get<uint64_t>();
  std::optional<Command> part;
  if (reader.ok()) part = Command::decode(body.substr(sizeof token));
  if (!part) return runtime_.stats.push_bad_record.add();
  CommandResult result = apply(*part, part->data);
  if (token != 0) reply(from, token, result);
}

// ---- carrying out

CommandResult PushRouter::apply(const Command& part, std::string_view data) {
  CommandResult result;
  Payload payload(data, part.binary);
  for (const shm::SessionId& id : part.sessions) {
    Session* session = sessions_.find(id);
    if (session == nullptr) {
      runtime_.stats.push_no_session.add();
      result.unknown.push_back(id);
      continue;
    }
    apply_to(*session, part, payload, Urgency::urgent, &result);
  }
  if (users_address(part.op)) {
    for (const std::string& user : part.users) fan_out(user_channel(user), payload, part, &result);
  }
  if (channels_address(part.op)) {
    for (const std::string& channel : part.channels) fan_out(channel, payload, part, &result);
  }
  if (part.op == Op::send_all) send_to_all(part, payload, &result);
  if (part.op == Op::list_channels || part.op == Op::list_users) list_names(part, &result);
  return result;
}

void PushRouter::apply_to(Session& session, const Command& part, Payload& payload, Urgency urgency,
                          CommandResult* result) {
  switch (part.op) {
    case Op::send:
    case Op::send_user:
    case Op::send_all:
    case Op::publish:
      if (sessions_.deliver(session, payload, urgency)) ++result->delivered;
      return;
    case Op::join:
      return join(session, part, result);
    case Op::leave:
      for (const std::string& channel : part.channels) sessions_.leave(session, channel);
      ++result->delivered;
      return;
    case Op::bind:
      if (part.users.empty()) return;  // a record is another process's memory
      sessions_.set_user(session, part.users.front());
      ++result->delivered;
      return;
    case Op::unbind:
      sessions_.set_user(session, {});
      ++result->delivered;
      return;
    case Op::kick:
      trace(&tracer_, {.event = "kick", .session = &session, .detail = part.reason});
      session.client->close(part.code, part.reason, EndReason::kicked);
      ++result->delivered;
      return;
    case Op::data:
      ++(sessions_.set_data(session, part.pairs, part.merge) ? result->delivered : result->refused);
      return;
    case Op::get_session:
      return describe(session, result);
    case Op::list_members:
    case Op::list_channels:
    case Op::list_users:
      return;  // not addressed to sessions
  }
}

void PushRouter::join(Session& session, const Command& part, CommandResult* result) {
  uint64_t refused = 0;
  for (const std::string& channel : part.channels)
    if (sessions_.join(session, channel) == Hub::Joined::too_many) ++refused;
  result->refused += refused;
  if (refused == 0) ++result->delivered;
}

void PushRouter::fan_out(std::string_view name, Payload& payload, const Command& part,
                         CommandResult* result) {
  if (part.op == Op::list_members) return list_members(name, part.page, result);
  const Channel* channel = hub_.find(name);
  if (channel != nullptr && (part.op == Op::publish || part.op == Op::send_user))
    publish(*channel, payload, part, result);
  if (goes_to_patterns(part, name)) publish_to_patterns(name, payload, result);
  if (channel == nullptr || part.op == Op::publish || part.op == Op::send_user) return;
  // Everything else may change the list of members.
  std::vector<Session*> members;
  for (const Channel::Member& m : channel->members)
    if (!excluded(part, m.session().id)) members.push_back(&m.session());
  for (Session* session : members) apply_to(*session, part, payload, Urgency::urgent, result);
}

void PushRouter::publish(const Channel& channel, Payload& payload, const Command& part,
                         CommandResult* result) {
  constexpr size_t kFew = 16;
  size_t many = channel.members.size() + channel.subscribers.size();
  Urgency urgency = many > kFew ? Urgency::bulk : Urgency::urgent;
  ++channel.published;
  payload.go_to(channel.rule, channel.tag);
  for (const Channel::Member& m : channel.members)
    if (!excluded(part, m.session().id)) apply_to(m.session(), part, payload, urgency, result);
  for (const Channel::Member& m : subscribers_of(channel, part))
    if (m.subscriber().published(channel.name, payload, urgency)) ++result->delivered;
  if (!tracer_.on() || kind_of(channel.name) == NameKind::shard) return;  // told with the channel
  bool user = is_user_channel(channel.name);
  std::string_view name = std::string_view(channel.name).substr(user ? 1 : 0);
  tracer_.note({.event = user ? "send-user" : "publish",
                .channel = user ? std::string_view{} : name,
                .user = user ? name : std::string_view{},
                .bytes = payload.data().size()});
}

// Behind the channel's own subscribers, as a Redis server does it: who has both, gets both.
void PushRouter::publish_to_patterns(std::string_view name, Payload& payload,
                                     CommandResult* result) {
  hub_.for_each_pattern_of(name, [&](const Channel& pattern) {
    for (const Channel::Member& m : pattern.subscribers)
      if (m.subscriber().matched(plain_name(pattern.name), name, payload, Urgency::bulk))
        ++result->delivered;
  });
}

void PushRouter::send_to_all(const Command& part, Payload& payload, CommandResult* result) {
  sessions_.for_each_live([&](Session& session) {
    if (!excluded(part, session.id)) apply_to(session, part, payload, Urgency::bulk, result);
  });
}

// ---- questions

void PushRouter::describe(const Session& session, CommandResult* result) const {
  SessionDetail& detail = result->session.emplace();
  for (const ChannelMember::Membership& m : session.memberships)
    if (!is_user_channel(m.channel->name)) detail.channels.push_back(m.channel->name);
  std::sort(detail.channels.begin(), detail.channels.end());
  if (session.data) detail.data.assign(session.data->begin(), session.data->end());
}

void PushRouter::list_members(std::string_view name, const Page& page,
                              CommandResult* result) const {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr) return;
  result->members += channel->members.size();
  result->subscribers += channel->subscribers.size();
  auto after_slot = uint16_t(page.position >> 32);
  size_t left = channel->members.size();
  if (page.position != 0) {
    if (runtime_.slot < after_slot) return;
    if (runtime_.slot == after_slot)
      left = std::min<size_t>(left, UINT32_MAX - uint32_t(page.position));
  }
  uint32_t limit = std::min(page.limit, kMaxPage);
  for (; left > 0 && result->listed.size() < limit; --left) {
    const Session& session = channel->members[left - 1].session();
    result->listed.push_back(
        {position_of(runtime_.slot, left - 1), session.id, std::string(session.user.view())});
  }
  if (left > 0 && limit > 0) result->more = true;
}

void PushRouter::list_names(const Command& part, CommandResult* result) const {
  NameKind kind = kind_listed(part);
  auto named = [&](const std::string& name) {
    return kind == NameKind::channel ? name : reserved_name(kind, name);
  };
  const Page& page = part.page;
  uint32_t limit = std::min(page.limit, kMaxPage);
  std::string prefix = named(page.prefix);
  std::string from = prefix.empty() ? std::string(1, kFirstOfChannels) : prefix;
  std::string after = page.after.empty() ? std::string() : named(page.after);
  hub_.for_each_from(from, after, [&](const Channel& channel) {
    if (!std::string_view(channel.name).starts_with(prefix)) return false;
    if (kind_of(channel.name) != kind) return false;
    if (result->names.size() >= limit) {
      result->more = limit > 0;
      return false;
    }
    result->names.push_back({std::string(plain_name(channel.name)), channel.members.size(),
                             channel.subscribers.size(), channel.published});
    return true;
  });
}

}  // namespace holdfast
