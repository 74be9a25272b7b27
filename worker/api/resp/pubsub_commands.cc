// PUBSUB: which channels there are, and how many would get a message. Members count whether they are
// sessions or subscribers.
#include <fmt/format.h>

#include <memory>
#include <utility>
#include <vector>

#include "base/glob.h"
#include "worker/api/resp/handlers.h"
#include "worker/channels/hub.h"

namespace holdfast::api::run {
namespace {

using resp::ReplyWriter;

constexpr uint32_t kMaxNames = 10'000;  // that PUBSUB CHANNELS looks through
constexpr size_t kMaxNumsub =
    1'000;  // channels of one PUBSUB NUMSUB; of a connection one at a time
constexpr size_t kMaxSteps = 8'000'000;  // to compare names with a pattern: some 8 ms
constexpr std::string_view kPartial = "ERR the other workers did not answer in time; try again";

bool is_partial(const CommandResult& result) {
  return result.partial || result.workers_failed > 0;
}

std::string too_many_names() {
  return fmt::format(
      "ERR there are more than {} channels to look through, or the pattern is too long for so "
      "many: give "
      "one with a longer beginning, or page with HF.CHANNELS",
      kMaxNames);
}

void answer_channels(const RespAnswer& answer, const std::string& pattern,
                     const CommandResult& result) {
  if (is_partial(result)) return answer.refuse(kPartial);
  if (result.more) return answer.refuse(too_many_names());
  size_t steps = 0;  // at most, of glob_match()
  for (const NameCount& name : result.names) steps += pattern.size() * name.name.size();
  if (steps > kMaxSteps) return answer.refuse(too_many_names());
  std::vector<std::string_view> matching;
  for (const NameCount& name : result.names)
    if (glob_match(pattern, name.name)) matching.push_back(name.name);
  ReplyWriter out = answer.writer();
  out.array(matching.size());
  for (std::string_view name : matching) out.bulk(name);
  answer.send(out);
}

// The questions of one PUBSUB NUMSUB, each about one channel; answered when the last one is. Owned by
// the callbacks of those under way: std::function wants its captures copyable.
class Numsub {
 public:
  Numsub(const RespAnswer& answer, resp::Arguments names)
      : answer_(answer), names_(names.begin(), names.end()), counts_(names.size()) {}

  size_t size() const { return names_.size(); }
  const std::string& name(size_t i) const { return names_[i]; }
  void settle(size_t i, const CommandResult& result) {
    counts_[i] = result.members + result.subscribers;
    partial_ = partial_ || is_partial(result);
    if (++settled_ == names_.size()) answer();
  }

 private:
  void answer() const {
    if (partial_) return answer_.refuse(kPartial);
    ReplyWriter out = answer_.writer();
    out.array(2 * names_.size());
    for (size_t i = 0; i < names_.size(); ++i) out.bulk(names_[i]).integer(int64_t(counts_[i]));
    answer_.send(out);
  }

  RespAnswer answer_;
  std::vector<std::string> names_;
  std::vector<uint64_t> counts_;
  size_t settled_ = 0;
  bool partial_ = false;
};

// [pattern]: names of a kind with somebody. Only those that begin as the pattern does are asked for.
void list_names(const RespCall& call, NameKind kind) {
  if (call.arguments.size() > 3)
    return call.answer.refuse(
        fmt::format("ERR unknown subcommand or wrong number of arguments for {}. Try PUBSUB HELP.",
                    shown(call.arguments[1])));
  std::string pattern(call.arguments.size() == 3 ? call.arguments[2] : "*");
  if (pattern.size() > kMaxChannelBytes)
    return call.answer.refuse(fmt::format("ERR a pattern has {} bytes at most", kMaxChannelBytes));
  Command command{.op = Op::list_channels,
                  .page = {.limit = kMaxNames, .prefix = glob_prefix(pattern)}};
  if (kind != NameKind::channel) command.channels.push_back(reserved_name(kind, {}));
  call.context.router->execute(command, [answer = call.answer, pattern](CommandResult&& result) {
    answer_channels(answer, pattern, result);
  });
}

void count_subscribers(const RespCall& call, NameKind kind) {
  resp::Arguments names = call.arguments.subspan(2);
  if (names.empty()) return call.answer.send(call.answer.writer().array(0));
  if (names.size() > kMaxNumsub)
    return call.answer.refuse(fmt::format("ERR PUBSUB {} takes {} channels at most",
                                          kind == NameKind::shard ? "SHARDNUMSUB" : "NUMSUB",
                                          kMaxNumsub));
  auto asked = std::make_shared<Numsub>(call.answer, names);
  for (size_t i = 0; i < names.size(); ++i) {
    if (!valid_channel(names[i])) {  // nobody is in it
      asked->settle(i, {});
      continue;
    }
    std::string name = asked->name(i);
    if (kind == NameKind::shard) name = reserved_name(kind, name);
    call.context.router->execute(Command{.op = Op::list_members, .channels = {std::move(name)}},
                                 [asked, i](CommandResult&& result) { asked->settle(i, result); });
  }
}

}  // namespace

void pubsub_channels(const RespCall& call) {
  list_names(call, NameKind::channel);
}
void pubsub_shardchannels(const RespCall& call) {
  list_names(call, NameKind::shard);
}
void pubsub_numsub(const RespCall& call) {
  count_subscribers(call, NameKind::channel);
}
void pubsub_shardnumsub(const RespCall& call) {
  count_subscribers(call, NameKind::shard);
}

// Different ones, of all workers.
void pubsub_numpat(const RespCall& call) {
  Command command{.op = Op::list_channels,
                  .channels = {reserved_name(NameKind::pattern, {})},
                  .page = {.limit = kMaxNames}};
  call.context.router->execute(command, [answer = call.answer](CommandResult&& result) {
    if (is_partial(result)) return answer.refuse(kPartial);
    if (result.more) return answer.refuse(fmt::format("ERR more than {} patterns", kMaxNames));
    answer.integer(result.names.size());
  });
}

}  // namespace holdfast::api::run
