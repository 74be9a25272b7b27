#include "worker/push_router.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "worker/client.h"

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

// Are `channels` the addressees (publish, kick), or arguments (join, leave)?
bool channels_address(Op op) {
  return op == Op::publish || op == Op::kick;
}

std::string frame_command(uint64_t token, const Command& part) {
  std::string body;
  ByteWriter(body).put(token);
  body += part.encode();
  return body;
}

// One entry a channel, its members summed over the workers, by name.
void merge(std::vector<ChannelCount>& channels) {
  std::sort(channels.begin(), channels.end(),
            [](const ChannelCount& a, const ChannelCount& b) { return a.name < b.name; });
  size_t kept = 0;
  for (size_t i = 0; i < channels.size(); ++i) {
    if (kept > 0 && channels[kept - 1].name == channels[i].name) {
      channels[kept - 1].members += channels[i].members;
    } else {
      if (kept != i) channels[kept] = std::move(channels[i]);
      ++kept;
    }
  }
  channels.resize(kept);
}

void finish(CommandResult&& result, const CommandDone& done) {
  merge(result.channels);
  done(std::move(result));
}

}  // namespace

PushRouter::PushRouter(Runtime& runtime, const Heritage& heritage, Sessions& sessions, Hub& hub)
    : runtime_(runtime),
      segment_(*heritage.segment),
      sessions_(sessions),
      hub_(hub),
      post_(runtime, heritage, *this),
      directory_(segment_.directory()),
      filter_(segment_.filter()),
      next_token_(monotonic_ns()) {}

// ---- dividing

Command& PushRouter::part_for(Parts& parts, const Command& whole, uint16_t slot) {
  for (auto& [s, part] : parts)
    if (s == slot) return part;
  Command part;
  part.op = whole.op;
  part.binary = whole.binary;
  part.code = whole.code;
  part.exclude = parts.empty() ? whole.exclude : parts.front().second.exclude;
  if (parts.empty()) std::sort(part.exclude.begin(), part.exclude.end(), before);
  part.data = whole.data;
  part.reason = whole.reason;
  if (!channels_address(whole.op)) part.channels = whole.channels;
  if (whole.op == Op::bind) part.users = whole.users;
  parts.emplace_back(slot, std::move(part));
  return parts.back().second;
}

PushRouter::Parts PushRouter::divide(const Command& command, CommandResult* result) {
  Parts parts;
  for (const shm::SessionId& id : command.sessions) {
    std::optional<uint16_t> owner = directory_.find(id);
    if (owner && *owner != runtime_.slot && !post_.served(*owner)) owner.reset();
    if (!owner) {
      result->unknown.push_back(id);
      runtime_.stats.push_no_session.add();
      continue;
    }
    part_for(parts, command, *owner).sessions.push_back(id);
  }
  if (command.op != Op::bind) {
    for (const std::string& user : command.users)
      filter_.for_each(user_channel(user), [&](uint32_t slot) {
        part_for(parts, command, uint16_t(slot)).users.push_back(user);
      });
  }
  if (channels_address(command.op)) {
    for (const std::string& channel : command.channels)
      filter_.for_each(channel, [&](uint32_t slot) {
        part_for(parts, command, uint16_t(slot)).channels.push_back(channel);
      });
  }
  if (command.op == Op::send_all || command.op == Op::list_channels) {
    for (uint16_t slot = 0; slot < segment_.capacities().max_workers; ++slot)
      if (slot == runtime_.slot || post_.served(slot)) part_for(parts, command, slot);
  }
  return parts;
}

void PushRouter::execute(const Command& command, CommandDone done) {
  switch (command.op) {
    case Op::send:
      runtime_.stats.push_send.add(command.sessions.size());
      break;
    case Op::send_all:
      runtime_.stats.push_send_all.add();
      break;
    case Op::publish:
      runtime_.stats.push_publish.add(command.channels.size());
      break;
    default:
      break;
  }
  CommandResult result;
  Parts parts = divide(command, &result);
  bool ask = done && answered_by_workers(command);
  bool full = ask && pending_.size() >= kMaxPending;  // I2
  uint64_t token = ask && !full ? next_token_++ : 0;
  unsigned asked = 0;
  for (auto& [slot, part] : parts) {
    if (slot == runtime_.slot) {
      CommandResult own = apply(part);
      result.delivered += own.delivered;
      result.unknown.insert(result.unknown.end(), own.unknown.begin(), own.unknown.end());
      result.partial |= own.partial;
      result.refused += own.refused;
      result.channels = std::move(own.channels);
      continue;
    }
    if (!post_.send(slot, kCommand, frame_command(token, part))) {
      ++result.workers_failed;
      result.failed.insert(result.failed.end(), part.sessions.begin(), part.sessions.end());
      continue;
    }
    if (!answered_by_workers(command)) result.delivered += part.sessions.size();
    ++asked;
  }
  if (!done) return;
  if (full && asked > 0) {
    result.partial = true;
    runtime_.stats.push_partial.add();
  }
  if (token == 0 || asked == 0) return finish(std::move(result), done);
  uint64_t deadline = runtime_.now_ms + kReplyDeadlineMs;
  pending_.emplace(token, Pending{std::move(result), std::move(done), asked, deadline});
  deadlines_.emplace_back(deadline, token);
}

// ---- answers

void PushRouter::reply(uint16_t to, uint64_t token, const CommandResult& result) {
  // Pieces of at most half a ring record; the last one says so and carries the count.
  size_t next = 0;
  do {
    std::string body, list;
    uint32_t listed = 0;
    while (next < result.channels.size() &&
           (listed == 0 || list.size() + 512 < post_.max_body() / 2)) {
      ByteWriter writer(list);
      writer.put_string(result.channels[next].name);
      writer.put(result.channels[next].members);
      ++listed, ++next;
    }
    bool last = next == result.channels.size();
    ByteWriter writer(body);
    writer.put(token);
    writer.put(uint8_t(last));
    writer.put(uint8_t(result.partial));
    writer.put(last ? result.delivered : uint64_t(0));
    writer.put(last ? result.refused : uint64_t(0));
    writer.put(listed);
    body += list;
    if (!post_.send(to, kReply, body)) return;  // counted there; the asker answers `partial`
  } while (next < result.channels.size());
}

void PushRouter::on_reply(std::string_view body) {
  ByteReader reader(body);
  auto token = reader.get<uint64_t>();
  bool last = reader.get<uint8_t>() != 0;
  bool partial = reader.get<uint8_t>() != 0;
  auto delivered = reader.get<uint64_t>();
  auto refused = reader.get<uint64_t>();
  auto listed = reader.get<uint32_t>();
  auto it = pending_.find(token);
  if (it == pending_.end()) return runtime_.stats.push_late_reply.add();
  Pending& pending = it->second;
  pending.result.delivered += delivered;
  pending.result.refused += refused;
  pending.result.partial |= partial;
  for (uint32_t i = 0; i < listed && reader.ok(); ++i) {
    std::string name(reader.get_string());
    auto members = reader.get<uint64_t>();
    if (reader.ok()) pending.result.channels.push_back({std::move(name), members});
  }
  if (!reader.ok()) {
    runtime_.stats.push_bad_record.add();
    pending.result.partial = true;
    last = true;
  }
  if (!last || --pending.missing > 0) return;
  Pending finished = std::move(pending);
  pending_.erase(it);
  finish(std::move(finished.result), finished.done);
}

void PushRouter::tick() {
  while (!deadlines_.empty() && deadlines_.front().first <= runtime_.now_ms) {
    uint64_t token = deadlines_.front().second;
    deadlines_.pop_front();
    auto it = pending_.find(token);
    if (it == pending_.end()) continue;
    Pending finished = std::move(it->second);
    pending_.erase(it);
    finished.result.partial = true;
    runtime_.stats.push_partial.add();
    finish(std::move(finished.result), finished.done);
  }
}

void PushRouter::on_record(uint16_t from, uint32_t kind, std::string_view body) {
  switch (kind) {
    case kCommand:
      return on_command(from, body);
    case kReply:
      return on_reply(body);
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
  CommandResult result = apply(*part);
  if (token != 0) reply(from, token, result);
}

// ---- carrying out

CommandResult PushRouter::apply(const Command& part) {
  uint64_t refused_before = runtime_.stats.channels_refused.get();
  CommandResult result;
  Payload payload(part.data, part.binary);
  for (const shm::SessionId& id : part.sessions) {
    Session* session = sessions_.find(id);
    if (session == nullptr) {
      runtime_.stats.push_no_session.add();
      result.unknown.push_back(id);
      continue;
    }
    result.delivered += apply_to(*session, part, payload, Urgency::urgent);
  }
  if (part.op != Op::bind) {
    for (const std::string& user : part.users)
      result.delivered += fan_out(user_channel(user), payload, part);
  }
  if (channels_address(part.op)) {
    for (const std::string& channel : part.channels)
      result.delivered += fan_out(channel, payload, part);
  }
  if (part.op == Op::send_all) send_to_all(part, payload, &result);
  if (part.op == Op::list_channels) list_channels(&result);
  result.refused = runtime_.stats.channels_refused.get() - refused_before;
  return result;
}

uint64_t PushRouter::apply_to(Session& session, const Command& part, Payload& payload,
                              Urgency urgency) {
  switch (part.op) {
    case Op::send:
    case Op::send_user:
    case Op::send_all:
    case Op::publish:
      return sessions_.deliver(session, payload, urgency) ? 1 : 0;
    case Op::join: {
      bool all = true;
      for (const std::string& channel : part.channels)
        all &= hub_.join(session, channel) != Hub::Joined::too_many;
      return all ? 1 : 0;
    }
    case Op::leave:
      for (const std::string& channel : part.channels) hub_.leave(session, channel);
      return 1;
    case Op::bind:
      if (part.users.empty()) return 0;  // a record is another process's memory
      sessions_.set_user(session, part.users.front());
      return 1;
    case Op::unbind:
      sessions_.set_user(session, {});
      return 1;
    case Op::kick:
      session.client->close(part.code, part.reason, EndReason::kicked);
      return 1;
    case Op::list_channels:
      return 0;
  }
  return 0;
}

uint64_t PushRouter::fan_out(std::string_view name, Payload& payload, const Command& part) {
  const Channel* channel = hub_.find(name);
  if (channel == nullptr) return 0;
  constexpr size_t kFew = 16;
  Urgency urgency = channel->members.size() > kFew ? Urgency::bulk : Urgency::urgent;
  uint64_t reached = 0;
  bool delivers = part.op == Op::publish || part.op == Op::send_user;
  if (delivers) {  // everything else may change the list of members
    for (const Channel::Member& m : channel->members)
      if (!excluded(part, m.session->id)) reached += apply_to(*m.session, part, payload, urgency);
    return reached;
  }
  std::vector<Session*> members;
  for (const Channel::Member& m : channel->members)
    if (!excluded(part, m.session->id)) members.push_back(m.session);
  for (Session* session : members) reached += apply_to(*session, part, payload, urgency);
  return reached;
}

void PushRouter::send_to_all(const Command& part, Payload& payload, CommandResult* result) {
  sessions_.for_each_live([&](Session& session) {
    if (!excluded(part, session.id))
      result->delivered += apply_to(session, part, payload, Urgency::bulk);
  });
}

void PushRouter::list_channels(CommandResult* result) {
  hub_.for_each_channel([&](const Channel& channel) {
    if (result->channels.size() < kMaxListed) {
      result->channels.push_back({channel.name, channel.members.size()});
    } else {
      result->partial = true;
    }
  });
}

}  // namespace holdfast
