// What a client sends, once it may: from bytes to messages, one share of a turn at a time. How bytes are decoded is its wire's.

#include "worker/clients/client.h"
#include "worker/sessions/trace.h"

namespace holdfast {

// ---- whose turn it is

// The bytes just read, or those after the hand-shake.
void Client::take(std::span<char> bytes) {
  if (Undecoded* waiting = undecoded()) return waiting->append(bytes);
  runtime_.budget.begin_share(TurnBudget::kFirstShare);
  size_t used = may_decode() ? decode(bytes) : 0;
  if (used == bytes.size() || !takes_messages()) return;
  runtime_.stats.loop_cut_short.add();
  keep_undecoded(std::make_unique<Undecoded>(home_.table.input(), *this, bytes.subspan(used),
                                             Undecoded::Gauge::counts));
  settle_input();
}

// Its own while it is decoded: the session may end meanwhile, and then the rest goes.
void Client::go_on() {
  std::unique_ptr<Undecoded> waiting = std::move(kept_->undecoded);
  runtime_.budget.begin_share();
  if (may_decode()) waiting->take(decode(waiting->rest()));
  if (!takes_messages()) return;
  if (!waiting->rest().empty()) keep_undecoded(std::move(waiting));
  settle_input();
}

// False: whatever is left comes too late.
bool Client::takes_messages() const {
  return !retired() && (phase_ == Phase::open || phase_ == Phase::closing);
}

bool Client::may_decode() const {
  return phase_ == Phase::closing || (!held_back_ && !home_.backend.held_up());
}

void Client::keep_undecoded(std::unique_ptr<Undecoded> rest) {
  if (!kept_) kept_ = make_kept();
  kept_->undecoded = std::move(rest);
}

void Client::drop_undecoded() {
  if (kept_) kept_->undecoded.reset();
}

// Whether what waits has turns, and whether the socket is read. One of both, or neither.
void Client::settle_input() {
  bool held = held_back_ && phase_ == Phase::open;
  Undecoded* waiting = undecoded();
  if (waiting != nullptr) held ? waiting->stand_aside() : waiting->join();
  read_on(waiting == nullptr && !held);
}

// From within message(), too: then not one more is decoded.
void Client::pause_reading(bool pause) {
  if (phase_ != Phase::open) return;
  // What came meanwhile is about to be read: its silence is counted from now.
  if (!pause) heard();
  held_back_ = pause;
  settle_input();
}

// ---- decoding

// How many of the bytes are dealt with.
size_t Client::decode(std::span<char> bytes) {
  runtime_.budget.spend(TurnBudget::kMessage);
  return feed(bytes);
}

// What a message costs, and what a fragment or a ping does, too.
bool Client::goes_on() {
  runtime_.budget.spend(TurnBudget::kMessage);
  return !runtime_.budget.share_spent() && may_decode();
}

bool Client::received(bool binary, std::string_view data) {
  if (phase_ != Phase::open) return phase_ == Phase::closing;
  if (!home_.sessions.within_rate(*session_, data.size())) {
    close(1008, "too many messages", EndReason::limit);
    return !retired();
  }
  ++session_->messages_in;
  runtime_.stats.messages_in.add();
  home_.sessions.publish_counts(*session_);
  trace(runtime_.tracer, {.event = "message", .session = session_, .bytes = data.size()});
  home_.backend.message(*session_, binary, data);
  return !retired();
}

}  // namespace holdfast
