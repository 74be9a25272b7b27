#include "worker/api/resp/face.h"

#include <fmt/format.h>

#include <string_view>

#include "base/random.h"
#include "worker/api/auth.h"
#include "worker/api/resp/record.h"

namespace holdfast::api {
namespace {

using std::literals::operator""sv;

// A number that fits the integers of every language. Workers draw without asking each other.
uint64_t draw_id() {
  uint64_t id = 0;
  fill_random(&id, sizeof id);
  return id >> 12 | 1;
}

// A web page can make a browser send a request to any port: its first line, or its Host header, must
// not be passed over on the way to a body full of commands. What was meant for another port is told so.
std::string_view other_protocol(resp::Arguments words) {
  constexpr std::string_view kHttp =
      "this is HTTP, and the listener speaks RESP (it is for Redis clients)";
  if (same_word(words[0], "POST") || same_word(words[0], "Host:")) return kHttp;
  if (words.size() == 3 && words[2].starts_with("HTTP/1.")) return kHttp;
  if (words.size() > 1 && words[0] == "PROXY" && words[1].starts_with("TCP"))
    return "this is a PROXY header, and the listener expects none";
  return {};
}

// By the first bytes of a connection.
std::string_view other_protocol(std::string_view bytes) {
  if (bytes.starts_with('\x16')) return "this is TLS, and the listener has none (tls)";
  if (bytes.starts_with("\r\n\r\n\0"sv))
    return "this is a PROXY header, and the listener expects none";
  return {};
}

}  // namespace

RespFace::RespFace(const ApiContext& context, Wire& wire)
    : context_(context), subscriber_(context, wire, state_), transaction_(context) {
  state_.scopes = scopes_at_start(*context.api);
  state_.id = draw_id();
}

Face::Step RespFace::step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) {
  *used = 0;
  if (held_back_ && !quiet) return Step::wait;
  held_back_ = false;
  if (std::string_view what = other_protocol(bytes); !reader_.started() && !what.empty()) {
    *used = bytes.size();
    return give_up(what, reply);
  }
  resp::Bounds bounds{.request_bytes = context_.api->max_body, .stranger = state_.scopes == 0};
  switch (reader_.read(bytes, bounds)) {
    case resp::RequestReader::Status::need_more:
      *used = reader_.skipped();
      return Step::need_more;
    case resp::RequestReader::Status::empty:
      *used = reader_.used();
      reader_.next();
      return Step::silent;
    case resp::RequestReader::Status::too_long: {
      *used = reader_.used();
      context_.stats->api_requests.add();
      return refuse("ERR " + reader_.error(), RespAnswer(context_, state_.version, reply));
    }
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
  transaction_.discard();
  subscriber_.give_up_waiting();
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
  if (std::string_view what = other_protocol(arguments); !what.empty()) return give_up(what, reply);
  RespAnswer answer(context_, state_.version, reply);
  std::string refusal = row != nullptr ? refusal_of(**row) : std::get<std::string>(found);
  if (!refusal.empty()) return refuse(refusal, answer);
  const RespCommand& command = **row;
  if (transaction_.open() && (command.flags & kAtOnce) == 0) return queue(command, answer);
  held_back_ = (command.flags & kChangesState) != 0;
  command.run({context_, arguments, state_, subscriber_, &transaction_, answer});
  reader_.next();
  return (command.flags & kEnds) != 0 ? Step::last : Step::taken;
}

Face::Step RespFace::refuse(std::string_view why, const RespAnswer& answer) {
  transaction_.spoil();
  answer.refuse(why);
  reader_.next();
  return Step::taken;
}

Face::Step RespFace::queue(const RespCommand& command, const RespAnswer& answer) {
  if ((command.flags & kNotInMulti) != 0)
    return refuse("ERR Command not allowed inside a transaction", answer);
  if (std::optional<std::string> error = transaction_.queue(reader_.arguments()))
    return refuse(*error, answer);
  answer.send(answer.writer().status("QUEUED"));
  reader_.next();
  return Step::taken;
}

// Whoever adds a member carries it or says why not: the reader begins again with the bytes that are pending, but for what it
// has skipped; no EXEC is under way where no answer is owed.
static_assert(sizeof(RespState) == 80);

std::string RespFace::save() const {
  handover::RespRecord record;
  record.version = state_.version;
  record.name = state_.name;
  record.id = state_.id;
  record.secret_digest = state_.secret_digest;
  record.held_back = held_back_;
  record.channels = subscriber_.names(NameKind::channel);
  record.followed = subscriber_.followed();
  record.patterns = subscriber_.names(NameKind::pattern);
  record.shards = subscriber_.names(NameKind::shard);
  record.in_transaction = transaction_.open();
  record.spoilt = transaction_.spoilt();
  for (const RespTransaction::Queued& request : transaction_.queued())
    record.queued.push_back({request});
  if (const resp::RequestReader::Skip& s = reader_.skip(); s.arguments > 0)
    record.skip = {s.arguments, s.missing, s.bytes, s.left, s.bound};
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
  for (const std::string& name : record.channels) subscriber_.restore(NameKind::channel, name);
  for (const std::string& name : record.followed) subscriber_.restore_followed(name);
  for (const std::string& name : record.patterns) subscriber_.restore(NameKind::pattern, name);
  for (const std::string& name : record.shards) subscriber_.restore(NameKind::shard, name);
  if (record.in_transaction) {
    std::vector<RespTransaction::Queued> queued;
    for (handover::QueuedRecord& request : record.queued)
      queued.push_back(std::move(request.arguments));
    transaction_.restore(record.spoilt, std::move(queued));
  }
  if (const auto& s = record.skip)
    reader_.go_on_with({s->arguments, s->missing, s->bytes, s->left, s->bound});
  judge_again();
  return true;
}

void RespFace::judge_again() {
  if (subscriber_.count() > 0 && (state_.scopes & conf::kScopeQuery) == 0)
    grant_ = Grant::withdrawn_in_use;
  else if (state_.scopes == 0 && !state_.secret_digest.empty())
    grant_ = Grant::withdrawn;
  if (state_.scopes != 0) return;
  state_.secret_digest.clear();
  transaction_.discard();  // a stranger has none; its EXEC would be refused
}

std::string RespFace::take_leave() {
  transaction_.discard();
  subscriber_.give_up_waiting();
  subscriber_.unsubscribe_all();
  return "-NOAUTH The token of this connection does not allow its subscriptions any more.\r\n";
}

std::string RespFace::refusal_of(const RespCommand& command) const {
  std::string refusal = api::refusal_of(context_, state_, command);
  if (!refusal.empty()) return refusal;
  bool subscribed = subscriber_.count() > 0 && state_.version == 2;
  if (subscribed && (command.flags & kWhileSubscribed) == 0)
    return fmt::format(
        "ERR Can't execute '{}': only (P|S)SUBSCRIBE / (P|S)UNSUBSCRIBE / PING / QUIT / RESET are "
        "allowed in this context",
        command.name);
  return {};
}

}  // namespace holdfast::api
