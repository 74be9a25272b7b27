#include "worker/api/resp_face.h"

#include <fmt/format.h>

#include "base/random.h"
#include "worker/api/auth.h"
#include "worker/handover/api_records.h"

namespace holdfast::api {
namespace {

// A number that fits the integers of every language. Workers draw without asking each other.
uint64_t draw_id() {
  uint64_t id = 0;
  fill_random(&id, sizeof id);
  return id >> 12 | 1;
}

// A web page can make a browser send a request to any port: its first line, or its Host header, must
// not be passed over on the way to a body full of commands.
bool is_http(std::string_view word) {
  return same_word(word, "POST") || same_word(word, "Host:");
}

}  // namespace

RespFace::RespFace(const ApiContext& context, Wire& wire)
    : context_(context), subscriber_(context, wire, state_) {
  state_.scopes = scopes_at_start(*context.api);
  state_.id = draw_id();
}

Face::Step RespFace::step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) {
  *used = 0;
  if (held_back_ && !quiet) return Step::wait;
  held_back_ = false;
  resp::Bounds bounds{.request_bytes = context_.api->max_body, .stranger = state_.scopes == 0};
  switch (reader_.read(bytes, bounds)) {
    case resp::RequestReader::Status::need_more:
      return Step::need_more;
    case resp::RequestReader::Status::empty:
      *used = reader_.used();
      reader_.next();
      return Step::silent;
    case resp::RequestReader::Status::error:
      *used = bytes.size();
      return give_up("Protocol error: " + reader_.error(), reply);
    case resp::RequestReader::Status::complete:
      break;
  }
  return take(quiet, reply, used);
}

// What stands behind cannot be told from a request: nothing of it is read.
Face::Step RespFace::give_up(std::string_view why, const Reply& reply) {
  context_.stats->api_bad_input.add();
  subscriber_.unsubscribe_all();
  RespAnswer(context_, state_.version, reply).refuse(fmt::format("ERR {}", why));
  return Step::last;
}

Face::Step RespFace::take(bool quiet, const Reply& reply, size_t* used) {
  resp::Arguments arguments = reader_.arguments();
  auto found = find_command(arguments);
  const RespCommand** row = std::get_if<const RespCommand*>(&found);
  if (row != nullptr && ((*row)->flags & kWaits) != 0 && !quiet) return Step::wait;
  *used = reader_.used();
  context_.stats->api_requests.add();
  if (is_http(arguments[0])) return give_up("this is not HTTP", reply);
  RespAnswer answer(context_, state_.version, reply);
  std::string refusal = row != nullptr ? refusal_of(**row) : std::get<std::string>(found);
  if (!refusal.empty()) {
    answer.refuse(refusal);
    reader_.next();
    return Step::taken;
  }
  const RespCommand& command = **row;
  held_back_ = (command.flags & kChangesState) != 0;
  command.run({context_, arguments, state_, subscriber_, answer});
  reader_.next();
  return (command.flags & kEnds) != 0 ? Step::last : Step::taken;
}

// Whoever adds a member carries it or says why not: the reader begins again with the bytes that are pending.
static_assert(sizeof(RespState) == 80);

std::string RespFace::save() const {
  handover::RespRecord record;
  record.version = state_.version;
  record.name = state_.name;
  record.id = state_.id;
  record.secret_digest = state_.secret_digest;
  record.held_back = held_back_;
  subscriber_.for_each_channel(
      [&](std::string_view channel) { record.channels.emplace_back(channel); });
  return handover::save(record);
}

// What a token may do is for this process's configuration to say, and so is whether one is needed.
bool RespFace::restore(std::string_view bytes) {
  handover::RespRecord record;
  if (!handover::load(bytes, record) || (record.version != 2 && record.version != 3)) return false;
  state_.version = record.version;
  state_.name = std::move(record.name);
  state_.id = record.id;
  state_.secret_digest = std::move(record.secret_digest);
  unsigned scopes = scopes_of_digest(context_.api->tokens, state_.secret_digest);
  if (scopes != 0) state_.scopes = scopes;
  held_back_ = record.held_back;
  for (const std::string& channel : record.channels) subscriber_.restore(channel);
  judge_again();
  return true;
}

void RespFace::judge_again() {
  if (wants_to_stay() && (state_.scopes & conf::kScopeQuery) == 0)
    grant_ = Grant::withdrawn_in_use;
  else if (state_.scopes == 0 && !state_.secret_digest.empty())
    grant_ = Grant::withdrawn;
  if (state_.scopes == 0) state_.secret_digest.clear();
}

std::string RespFace::take_leave() {
  subscriber_.unsubscribe_all();
  return "-NOAUTH The token of this connection does not allow its subscriptions any more.\r\n";
}

std::string RespFace::refusal_of(const RespCommand& command) const {
  if (state_.scopes == 0 && (command.flags & kNeedsNobody) == 0) {
    context_.stats->api_unauthorized.add();
    return "NOAUTH Authentication required.";
  }
  if ((command.scopes & ~state_.scopes) != 0 && (state_.scopes & conf::kScopeAdmin) == 0) {
    context_.stats->api_forbidden.add();
    return fmt::format("NOPERM this user has no permissions to run the '{}' command", command.name);
  }
  bool subscribed = subscriber_.count() > 0 && state_.version == 2;
  if (subscribed && (command.flags & kWhileSubscribed) == 0)
    return fmt::format(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
        "allowed in this context",
        command.name);
  return {};
}

}  // namespace holdfast::api
