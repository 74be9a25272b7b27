#include "worker/api/router/face.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <iterator>

#include "worker/api/http/json_command.h"
#include "worker/api/settle.h"

namespace holdfast::api {
namespace {

constexpr size_t kIdBytes = 32;  // hex digits

// "" or what is wrong, here and below.
std::string take_ids(std::string_view ids, Command& command) {
  if (ids.empty() || ids.size() % kIdBytes != 0)
    return fmt::format("session ids of {} bytes, not of {} each", ids.size(), kIdBytes);
  command.sessions.reserve(ids.size() / kIdBytes);
  for (; !ids.empty(); ids.remove_prefix(kIdBytes)) {
    auto id = shm::SessionId::parse(ids.substr(0, kIdBytes));
    if (!id) return "a session id is not made of hex digits";
    command.sessions.push_back(*id);
  }
  return {};
}

std::string take_channel(std::string_view name, Command& command) {
  if (!valid_channel(name))
    return fmt::format("no channel's name: 1 to {} bytes of UTF-8 without control characters",
                       kMaxChannelBytes);
  command.channels.emplace_back(name);
  return {};
}

// Text where it is UTF-8, else binary.
std::string take_payload(std::string_view payload, size_t max_bytes, Command& command) {
  if (payload.size() > max_bytes)
    return fmt::format("a payload of {} bytes; limits.max_message_size is {}", payload.size(),
                       max_bytes);
  command.binary = !simdjson::validate_utf8(payload.data(), payload.size());
  command.data = payload;
  return {};
}

std::string take_ids_and_channel(const RouterMessage& message, Command& command) {
  std::string error = take_ids(message.whom, command);
  return error.empty() ? take_channel(message.what, command) : error;
}

std::string command_of(const RouterMessage& message, size_t max_bytes, Command& command) {
  std::string error;
  switch (RouterType(message.type)) {
    case RouterType::kick:
      command.op = Op::kick;
      command.code = kDefaultKickCode;
      return take_ids(message.whom, command);
    case RouterType::send:
      command.op = Op::send;
      error = take_ids(message.whom, command);
      return error.empty() ? take_payload(message.what, max_bytes, command) : error;
    case RouterType::send_all:
      command.op = Op::send_all;
      // Somebody who names receivers did not mean everybody.
      if (!message.whom.empty()) return "a send to all with session ids";
      return take_payload(message.what, max_bytes, command);
    case RouterType::join:
      command.op = Op::join;
      return take_ids_and_channel(message, command);
    case RouterType::leave:
      command.op = Op::leave;
      return take_ids_and_channel(message, command);
    case RouterType::publish:
      command.op = Op::publish;
      error = take_channel(message.whom, command);
      return error.empty() ? take_payload(message.what, max_bytes, command) : error;
    case RouterType::info:
      break;
  }
  return "not a type that pushers send (4 to 9, 12)";
}

bool has_sessions(shm::SlotState state) {
  return state == shm::SlotState::serving || state == shm::SlotState::draining;
}

}  // namespace

Face::Step RouterFace::step(std::string_view bytes, bool quiet, const Reply& reply, size_t* used) {
  *used = 0;
  if (held_back_ && !quiet) return Step::wait;
  held_back_ = false;
  RouterMessage message;
  switch (read_router_message(bytes, context_.api->max_body, &message, used)) {
    case RouterRead::need_more:
      return Step::need_more;
    case RouterRead::bad:
      *used = bytes.size();
      return give_up(reply);
    case RouterRead::complete:
      break;
  }
  context_.stats->api_requests.add();
  return take(message, reply);
}

Face::Step RouterFace::take(const RouterMessage& message, const Reply& reply) {
  if (RouterType(message.type) == RouterType::info) {
    reply(router_message({message.type, {}, info()}));
    return Step::taken;
  }
  Command command;
  std::string error = command_of(message, context_.config->limits.max_message_size, command);
  return error.empty() ? carry_out(message, command, reply) : leave_out(message, error);
}

Face::Step RouterFace::carry_out(const RouterMessage& message, Command& command,
                                 const Reply& reply) {
  if (auto error = settle(context_, command)) return leave_out(message, error->message);
  command.source = reply.source();
  if (!changes_state(command.op)) {
    context_.router->execute(command, {});
    return Step::silent;
  }
  held_back_ = true;
  context_.router->execute(command, [reply](CommandResult&&) { reply(std::string_view()); });
  return Step::taken;
}

Face::Step RouterFace::leave_out(const RouterMessage& message, std::string_view why) const {
  context_.stats->api_errors.add();
  if (auto n = context_.complaints->pass())
    log_warn("router message left out listener={} type={} reason=\"{}\"; nothing done ({} alike)",
             context_.api->address.text, message.type, why, n);
  return Step::silent;
}

Face::Step RouterFace::give_up(const Reply& reply) const {
  context_.stats->api_bad_input.add();
  if (auto n = context_.complaints->pass())
    log_warn(
        "router connection ended listener={} reason=\"a length that is negative or larger than "
        "max_body\" ({} alike)",
        context_.api->address.text, n);
  reply(std::string_view());
  return Step::last;
}

// A channel with members at two workers counts twice: which ones these are, nobody knows cheaply.
std::string RouterFace::info() const {
  const shm::Segment& segment = *context_.segment;
  std::string lines;
  uint64_t clients = 0, channels = 0;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot) {
    if (!has_sessions(segment.slot(slot).state.load(std::memory_order_relaxed))) continue;
    uint64_t its_clients = segment.stats(slot).sessions_online.get();
    uint64_t its_channels = segment.stats(slot).channels_local.get();
    clients += its_clients;
    channels += its_channels;
    fmt::format_to(std::back_inserter(lines), "gateway: {}\t{}\t{}\t{}\r\n",
                   segment.header().node_id, slot, its_clients, its_channels);
  }
  return fmt::format("clients: {}\r\nchannels: {}\r\n{}", clients, channels, lines);
}

}  // namespace holdfast::api
