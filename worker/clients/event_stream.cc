#include "worker/clients/event_stream.h"

#include <algorithm>

#include "base/random.h"
#include "wire/http/origin.h"
#include "wire/json/writer.h"
#include "wire/sse/writer.h"
#include "worker/channels/hub.h"
#include "worker/clients/stream_request.h"
#include "worker/net/keep_alive.h"

namespace holdfast {
namespace {

constexpr uint32_t kRetryFromMs = 2'000, kRetryToMs = 10'000;

uint32_t some_retry_ms() {
  uint32_t any = 0;
  fill_random(&any, sizeof any);
  return kRetryFromMs + any % (kRetryToMs - kRetryFromMs + 1);
}

// An application's, or one that says that coming back as before is of no use (4401).
bool is_told(uint16_t code) {
  return code == 1000 || code >= 3000;
}

}  // namespace

// ---- its session

void StreamEntrance::save(handover::ClientRecord& r) const {
  Entrance::save(r);
  r.cors = cors_;
  r.since = since_;
  r.followed = followed_;
}

void StreamEntrance::restore(handover::ClientRecord& r) {
  Entrance::restore(r);
  cors_ = std::move(r.cors);
  since_ = std::move(r.since);
  followed_ = std::move(r.followed);
}

bool StreamEntrance::follows(const std::string& channel) {
  if (std::find(followed_.begin(), followed_.end(), channel) != followed_.end()) return false;
  followed_.push_back(channel);
  return true;
}

std::unique_ptr<Entrance> EventStream::make_entrance(const shm::SessionOrigin& origin) {
  return std::make_unique<StreamEntrance>(*this, origin);
}

void EventStream::begin(const http::Request& request, const token::Claims* claims) {
  resume();
  begin_session(entrance_->origin(), &request, claims);
}

std::string EventStream::answer_lines() const {
  return entrance_ ? http::cors_lines(entrance().cors()) : std::string();
}

// The 200, and something behind it, for some readers and proxies wait for that.
void EventStream::greet(std::string_view extra_headers) {
  std::string lines = "Holdfast-Session: " + session_->id.hex() + "\r\n";
  lines += answer_lines();
  lines += extra_headers;
  runtime_.stats.sse_opened.add();
  enqueue_first(BufferRef::concat(stream::head(lines), sse::retry(some_retry_ms())));
}

// ---- what it is sent

bool EventStream::is_message(const BufferRef& queued) const {
  return sse::is_message(queued.bytes());
}

// While something waits to be sent, that says more.
void EventStream::ping() {
  if (!output_empty()) return;
  runtime_.stats.sse_comments.add();
  enqueue(BufferRef::concat(sse::kComment), Urgency::urgent);
}

// What moves says that the other side is there; and after it no comment is needed for a while.
void EventStream::on_written() {
  heard();
}

const BufferRef& EventStream::framed(Payload& message) {
  bool own_id = message.at().known() && (positions_ || follows_several());
  return message.event(named_, !own_id);
}

void EventStream::before_message(const Payload& message, const BufferRef& bytes, Urgency urgency) {
  if (!message.at().known() || (!positions_ && !follows_several())) return;
  std::string line = sse::id_line(note(message.stream_channel(), message.at()));
  enqueue(BufferRef::concat(line).tagged(bytes.tag()), urgency);
}

bool EventStream::say_goodbye(uint16_t code, std::string_view text) {
  if (!is_told(code)) return false;
  json::Writer json;
  json.begin_object().key("code").number(code).key("reason").string(text).end_object();
  enqueue(BufferRef::concat(sse::control_event("holdfast.closed", json.text())), Urgency::urgent);
  return false;
}

// ---- where it stands

namespace {

bool is_channel(const ChannelMember::Membership& m) {
  return kind_of(m.channel->name) == NameKind::channel;
}

bool has_stream(const ChannelMember::Membership& m) {
  return is_channel(m) && m.channel->rule != nullptr && m.channel->rule->history_size > 0;
}

}  // namespace

// Before the answer of the application there may be messages already, for the channels of a token.
void EventStream::begun() {
  follow();
}

void EventStream::accept(std::string_view extra_headers) {
  follow();
  Client::accept(extra_headers);
}

void EventStream::follow() {
  if (runtime_.catch_up == nullptr) return;
  size_t most = runtime_.config.limits.max_channels_per_session;
  sse::Positions since = sse::read_positions(entrance().since(), most).value_or(sse::Positions());
  if (follows_several() && !positions_) begin_positions();
  const auto& memberships = session_->memberships;
  bool by_name = !since.empty() && !since.front().first.empty();
  bool any = std::any_of(memberships.begin(), memberships.end(), has_stream);
  for (const ChannelMember::Membership& m : memberships) {
    const std::string& channel = m.channel->name;
    const Position* at = sse::find(since, channel);
    bool keeps = has_stream(m);
    // Of a channel that keeps nothing any more, the client is told so.
    bool is_told = at != nullptr && (by_name || !any) && is_channel(m);
    if ((!keeps && !is_told) || !entrance().follows(channel)) continue;
    if (keeps && positions_ && at != nullptr) note(channel, *at);
    runtime_.catch_up->begin(*session_, channel, at != nullptr ? *at : Position());
  }
}

bool EventStream::follows_several() const {
  if (session_ == nullptr) return false;
  const auto& all = session_->memberships;
  return std::count_if(all.begin(), all.end(), has_stream) > 1;
}

// The first channel had its ids without being named.
void EventStream::begin_positions() {
  positions_ = std::make_unique<sse::Positions>();
  for (const ChannelMember::Membership& m : session_->memberships)
    if (has_stream(m) && !m.catching_up && phase() == Phase::open)
      positions_->emplace_back(m.channel->name, m.channel->seen);
}

std::string EventStream::note(std::string_view channel, const Position& at) {
  if (!positions_ && !follows_several()) return text_of(at);
  if (!positions_) begin_positions();
  auto place = std::find_if(positions_->begin(), positions_->end(),
                            [&](const auto& one) { return one.first == channel; });
  if (place != positions_->end()) {
    place->second = at;
  } else {
    // Those that it has left need no place any more.
    std::erase_if(*positions_, [&](const auto& one) {
      const auto& all = session_->memberships;
      return std::none_of(all.begin(), all.end(),
                          [&](const auto& m) { return m.channel->name == one.first; });
    });
    positions_->emplace_back(channel, at);
  }
  return sse::id_of(*positions_);
}

// What follows `recovered` has its own ids, and until it has come the client stands where it said.
void EventStream::caught_up(const CaughtUp& told) {
  if (session_ == nullptr) return;
  bool recovered = told.asked && told.recovered;
  bool missed = !told.recovered && (told.asked || told.at.known());
  std::string id = recovered || !told.at.known() ? std::string() : note(told.channel, told.at);
  std::string text;
  if (recovered || missed) {
    json::Writer json;
    json.begin_object().key("channel").string(told.channel).key("position");
    told.at.known() ? json.string(text_of(told.at)) : json.raw("null");
    json.end_object();
    text =
        sse::control_event(recovered ? "holdfast.recovered" : "holdfast.missed", json.text(), id);
  } else if (!id.empty()) {
    text = sse::id_alone(id);
  }
  if (!text.empty()) enqueue(BufferRef::concat(text), Urgency::bulk);
}

void EventStream::kept_out(std::string_view channel, std::string_view reason) {
  json::Writer json;
  json.begin_object().key("channel").string(channel).key("reason").string(reason).end_object();
  enqueue(BufferRef::concat(sse::control_event("holdfast.refused", json.text())), Urgency::bulk);
}

// ---- what it sends

size_t EventStream::feed(std::span<char> bytes) {
  kept_.reset();  // there is no codec in it
  bool nothing =
      std::all_of(bytes.begin(), bytes.end(), [](char c) { return c == '\r' || c == '\n'; });
  if (!nothing && phase() == Phase::open) close(EndReason::protocol);
  return bytes.size();
}

std::unique_ptr<KeptInput> EventStream::make_kept() const {
  return std::make_unique<KeptInput>();
}

void EventStream::on_end_of_input() {
  if (phase() != Phase::open) return Client::on_end_of_input();
  end_session(EndReason::client_closed, 1000);
  retire();
}

// ---- handover

void EventStream::save_wire(handover::ClientRecord& r) const {
  r.transport = kTransport;
  r.named_events = named_;
  if (positions_) r.positions = sse::id_of(*positions_);
}

// Also for a connection that was a WebSocket's: here it becomes a stream's.
bool EventStream::restore_wire(handover::ClientRecord& r) {
  const conf::Listen& listen = home().listen;
  if (listen.protocol != conf::Protocol::websocket) return false;
  if (listen.ping_interval_ms == 0) keep_alive(fd());
  give_up_after(fd(), listen.idle_timeout_ms);
  named_ = r.named_events;
  auto positions = sse::read_positions(r.positions, SIZE_MAX);
  if (!positions) return false;
  if (!positions->empty()) positions_ = std::make_unique<sse::Positions>(*std::move(positions));
  return true;
}

}  // namespace holdfast
