#include "worker/clients/event_stream.h"

#include <algorithm>

#include "base/random.h"
#include "wire/http/origin.h"
#include "wire/json/writer.h"
#include "wire/sse/writer.h"
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
}

void StreamEntrance::restore(handover::ClientRecord& r) {
  Entrance::restore(r);
  cors_ = std::move(r.cors);
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

void EventStream::ping() {
  runtime_.stats.sse_comments.add();
  enqueue(BufferRef::concat(sse::kComment), Urgency::urgent);
}

// What moves says that the other side is there; and after it no comment is needed for a while.
void EventStream::on_written() {
  heard();
}

bool EventStream::say_goodbye(uint16_t code, std::string_view text) {
  if (!is_told(code)) return false;
  json::Writer json;
  json.begin_object().key("code").number(code).key("reason").string(text).end_object();
  enqueue(BufferRef::concat(sse::control_event("holdfast.closed", json.text())), Urgency::urgent);
  return false;
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
}

// Also for a connection that was a WebSocket's: here it becomes a stream's.
bool EventStream::restore_wire(handover::ClientRecord& r) {
  const conf::Listen& listen = home().listen;
  if (listen.protocol != conf::Protocol::websocket) return false;
  if (listen.ping_interval_ms == 0) keep_alive(fd());
  give_up_after(fd(), listen.idle_timeout_ms);
  named_ = r.named_events;
  return true;
}

}  // namespace holdfast
