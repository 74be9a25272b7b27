// SUBSCRIBE, PSUBSCRIBE, SSUBSCRIBE, and what ends them.
#include <string>

#include "worker/api/resp/handlers.h"
#include "worker/api/resp/subscriber.h"
#include "worker/routing/command.h"

namespace holdfast::api::run {
namespace {

// How Redis counts: sharded channels for themselves, the others and patterns together.
size_t counted(const RespSubscriber& subscriber, NameKind kind) {
  size_t shards = subscriber.count(NameKind::shard);
  return kind == NameKind::shard ? shards : subscriber.count() - shards;
}

// A pattern may be any bytes; one that is longer than a name has no use.
std::string no_name(NameKind kind, std::string_view name) {
  if (kind != NameKind::pattern) return valid_channel(name) ? std::string() : no_channel(name);
  if (name.size() <= kMaxChannelBytes) return {};
  return "ERR a pattern has " + std::to_string(kMaxChannelBytes) + " bytes at most";
}

// All or nothing: every name is looked at before the first effect.
void subscribe_to(const RespCall& call, NameKind kind, std::string_view word) {
  resp::Arguments names = call.arguments.subspan(1);
  for (std::string_view name : names)
    if (std::string error = no_name(kind, name); !error.empty()) return call.answer.refuse(error);
  if (std::string error = call.subscriber.no_room_for(kind, names); !error.empty())
    return call.answer.refuse(error);
  resp::ReplyWriter out = call.answer.writer();
  for (std::string_view name : names) {
    call.subscriber.subscribe(kind, name);
    out.push(3).bulk(word).bulk(name).integer(int64_t(counted(call.subscriber, kind)));
  }
  call.answer.send(out);
}

void unsubscribe_from(const RespCall& call, NameKind kind, std::string_view word) {
  resp::ReplyWriter out = call.answer.writer();
  RespSubscriber& subscriber = call.subscriber;
  auto leave = [&](std::string_view name) {
    subscriber.unsubscribe(kind, name);
    out.push(3).bulk(word).bulk(name).integer(int64_t(counted(subscriber, kind)));
  };
  resp::Arguments names = call.arguments.subspan(1);
  for (std::string_view name : names) leave(name);
  if (!names.empty()) return call.answer.send(out);
  std::vector<std::string> all = subscriber.names(kind);
  if (all.empty()) out.push(3).bulk(word).null().integer(int64_t(counted(subscriber, kind)));
  for (const std::string& name : all) leave(name);
  call.answer.send(out);
}

}  // namespace

void subscribe(const RespCall& call) {
  subscribe_to(call, NameKind::channel, "subscribe");
}
void psubscribe(const RespCall& call) {
  subscribe_to(call, NameKind::pattern, "psubscribe");
}
void ssubscribe(const RespCall& call) {
  subscribe_to(call, NameKind::shard, "ssubscribe");
}
void unsubscribe(const RespCall& call) {
  unsubscribe_from(call, NameKind::channel, "unsubscribe");
}
void punsubscribe(const RespCall& call) {
  unsubscribe_from(call, NameKind::pattern, "punsubscribe");
}
void sunsubscribe(const RespCall& call) {
  unsubscribe_from(call, NameKind::shard, "sunsubscribe");
}

}  // namespace holdfast::api::run
