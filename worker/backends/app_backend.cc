#include "worker/backends/app_backend.h"

#include <algorithm>

#include "base/log.h"
#include "base/text.h"
#include "wire/http/chars.h"
#include "worker/backends/app_state.h"
#include "worker/sessions/trace.h"
#include "worker/sessions/transport.h"

namespace holdfast {
namespace {
constexpr size_t kRetriesPerTick = 1'000;
constexpr size_t kWaitingOverhead = 96;  // of a message that waits: its place, its heap block

int refusal_status(AppOutcome outcome) {
  switch (outcome) {
    case AppOutcome::overloaded:
    case AppOutcome::no_server:
      return 503;
    case AppOutcome::timed_out:
      return 504;
    default:
      return 502;
  }
}

}  // namespace

AppBackend::State& AppBackend::state(const Session& session) {
  return static_cast<State&>(*session.backend_state);
}

AppBackend::AppBackend(Runtime& runtime, const conf::Backend& conf, unsigned queue,
                       Sessions& sessions, Router& router, std::unique_ptr<AppCarrier> carrier)
    : runtime_(runtime),
      conf_(conf),
      sessions_(sessions),
      queue_(queue),
      close_share_(queue / 4),
      actions_(runtime, sessions, router),
      carrier_(std::move(carrier)) {}

bool AppBackend::submit(Session& session, AppEvent event, bool binary, std::string body,
                        std::string_view channel) {
  uint64_t ticket = next_ticket_++;
  runtime_.budget.spend(TurnBudget::kAppRequest);
  size_t bytes = carrier_->submit(
      {session, state(session).facts, event, binary, std::move(body), channel, this, ticket});
  if (bytes == 0) return false;
  uint32_t counted = event == AppEvent::message ? uint32_t(bytes) : 0;
  hold_bytes(state(session), counted);
  flights_.emplace(ticket, Flight{&session, event, counted});
  if (event == AppEvent::close) ++closes_;
  ++state(session).in_flight;
  return true;
}

void AppBackend::on_answer(uint64_t ticket, AppAnswer&& answer) {
  actions_.catch_up();  // may end the session, and this is still in flight then
  auto it = flights_.find(ticket);
  HF_CHECK(it != flights_.end());
  Flight flight = it->second;
  flights_.erase(it);
  let_go_bytes(state(*flight.session), flight.bytes);
  if (flight.event == AppEvent::close) --closes_;
  send_waiting_close_events();  // the place that is free now is theirs
  if (answer.outcome == AppOutcome::too_large) runtime_.stats.backend_answers_too_long.add();
  trace_answer(*flight.session, answer);
  // The request counts as in flight while its answer is carried out: whatever ends the session meanwhile, gone() leaves
  // the rest to landed(), and the session stays alive until then.
  switch (flight.event) {
    case AppEvent::connect:
      connect_answered(*flight.session, answer);
      landed(*flight.session);
      break;
    case AppEvent::message:
      message_answered(*flight.session, answer);
      landed(*flight.session);
      break;
    case AppEvent::close:
      close_answered(*flight.session, answer);
      break;
    case AppEvent::subscribe:
      subscribe_answered(*flight.session, answer);
      landed(*flight.session);
      break;
  }
  ask_held_in();
}

void AppBackend::trace_answer(const Session& session, const AppAnswer& answer) {
  if (runtime_.tracer == nullptr || !runtime_.tracer->on()) return;
  std::string status = std::to_string(answer.status);
  bool answered = answer.outcome == AppOutcome::answered;
  runtime_.tracer->note(
      {.event = "backend",
       .session = &session,
       .bytes = answer.body.size(),
       .detail = answered ? std::string_view(status) : outcome_text(answer.outcome)});
}

// ---- connect

void AppBackend::now_owes_close(Session& session) {
  if (!conf_.event_close) return;
  state(session).owes_close = true;
  sessions_.set_owes_close(session, true);
  if (session.phase == SessionPhase::ended) runtime_.stats.events_close_owed.add();
}

void AppBackend::open(Session& session, const Opening& opening) {
  auto fresh = std::make_unique<State>();
  fresh->facts = carrier_->session_facts(session, opening);
  session.backend_state = std::move(fresh);
  if (!note_asked(session, opening)) {
    runtime_.stats.handshakes_bad_channel.add();
    return session.transport->refuse(400, "too many channels");
  }
  for (const std::string& channel : session.listen->channels) sessions_.join(session, channel);
  if (!conf_.event_connect) {
    now_owes_close(session);
    return admit(session, {});
  }
  if (close_waits_.empty() && held_.empty()) {
    if (!ask_in(session)) refuse_overloaded(session);
    return;
  }
  if (held_.size() >= queue_) return refuse_overloaded(session);
  runtime_.stats.events_connect_held.add();
  state(session).held = true;
  state(session).give_up_ms = runtime_.now_ms + conf_.read_timeout_ms;
  held_.push_back(&session);
}

bool AppBackend::ask_in(Session& session) {
  if (carrier_->queued() > 0 && carrier_->queued() + close_share_ >= queue_) return false;
  if (!submit(session, AppEvent::connect, false, {})) return false;
  // For our successor, if we die before the answer.
  if (conf_.event_close) sessions_.set_owes_close(session, true, true);
  return true;
}

void AppBackend::refuse_overloaded(Session& session) {
  runtime_.stats.events_connect_failed.add();
  session.transport->refuse(503, "the application is overloaded");
}

// In order. The session may be forgotten by what is done with it, so it is out of held_ first.
void AppBackend::ask_held_in() {
  while (!held_.empty()) {
    Session& session = *held_.front();
    bool late = runtime_.now_ms >= state(session).give_up_ms;
    if (!late && (!close_waits_.empty() || !ask_in(session))) return;
    held_.pop_front();
    state(session).held = false;
    state(session).give_up_ms = 0;
    if (late) refuse_overloaded(session);
  }
}

void AppBackend::drop_held(Session& session) {
  if (!std::exchange(state(session).held, false)) return;
  state(session).give_up_ms = 0;
  held_.erase(std::find(held_.begin(), held_.end(), &session));
}

void AppBackend::connect_answered(Session& session, const AppAnswer& answer) {
  bool answered = answer.outcome == AppOutcome::answered;
  bool accepted = answered && answer.status < 400;
  if (accepted || (!answered && answer.may_have_run)) {
    runtime_.stats.events_connect.add();  // I1: what may have been delivered is paired too
    now_owes_close(session);
  }
  if (!answered) runtime_.stats.events_connect_failed.add();
  if (answered && !accepted) runtime_.stats.events_connect_refused.add();
  if (session.transport == nullptr) return;  // left or kicked meanwhile
  if (!answered) {
    if (uint64_t n = gate_.pass())
      log_warn(
          "connect event failed session={} backend={} outcome=\"{}\" times={}; refusing "
          "hand-shakes",
          session.id.hex(), conf_.name, outcome_text(answer.outcome), n);
    return session.transport->refuse(refusal_status(answer.outcome),
                                     "the application does not answer");
  }
  if (!accepted) return session.transport->refuse(answer.status, answer.body);
  if (!choose_subprotocol(session, answer))
    return session.transport->refuse(
        502, "the application chose a subprotocol that was not offered", EndReason::backend);
  bool whole = actions_.before_close(session, answer);  // pushes wait behind the 101
  if (session.transport == nullptr) return;
  if (!whole) return session.transport->refuse(502, kAnswerTooLong, EndReason::backend);
  std::string cookies;
  for (const auto& [name, value] : answer.headers)
    if (strcasecmp(name.c_str(), "Set-Cookie") == 0) cookies += http::header_line(name, value);
  keep_out_if_it_goes(session, answer);
  admit(session, std::move(cookies));
  if (session.transport != nullptr) actions_.close(session, answer);
}

// False: the application has named what the client would break off for.
bool AppBackend::choose_subprotocol(Session& session, const AppAnswer& answer) {
  std::vector<std::string_view> named;
  for (const auto& [name, value] : answer.headers)
    if (strcasecmp(name.c_str(), "Sec-WebSocket-Protocol") == 0)
      named.push_back(http::trimmed(value));
  bool websocket = session.listen->protocol == conf::Protocol::websocket;
  if (named.empty() || !websocket) return true;
  std::string before(session.transport->subprotocol());
  if (named.size() == 1 && session.transport->speak(named[0])) {
    carrier_->speak(before, named[0], state(session).facts);
    return true;
  }
  runtime_.stats.backend_bad_headers.add();
  runtime_.stats.handshakes_bad_subprotocol.add();
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_warn(
        "connect event answered with a subprotocol that was not offered session={} backend={} "
        "chosen=\"{}\" offered=\"{}\" times={}; refusing hand-shakes",
        session.id.hex(), conf_.name, shown(fmt::format("{}", fmt::join(named, ", "))),
        shown(fmt::format("{}", fmt::join(session.transport->offered(), ", "))), n);
  return false;
}

// ---- messages

unsigned AppBackend::at_once(const Session& session) const {
  return conf_.order == conf::Order::session ? 1 : session.listen->max_pending;
}

bool AppBackend::over_bytes(const Session& session) const {
  const conf::Limits& limits = runtime_.config.limits;
  return state(session).bytes > limits.max_pending_bytes ||
         runtime_.stats.messages_waiting_bytes.get() > limits.max_pending_bytes_per_worker;
}

bool AppBackend::full(const Session& session) const {
  const State& s = state(session);
  return s.waiting.size() + s.in_flight >= session.listen->max_pending || over_bytes(session);
}

void AppBackend::hold_bytes(State& s, uint32_t bytes) {
  s.bytes += bytes;
  runtime_.stats.messages_waiting_bytes.add(bytes);
}

void AppBackend::let_go_bytes(State& s, uint32_t bytes) {
  s.bytes -= bytes;
  runtime_.stats.messages_waiting_bytes.sub(bytes);
}

void AppBackend::message(Session& session, bool binary, std::string_view data) {
  State& s = state(session);
  if (s.in_flight >= at_once(session) || !s.waiting.empty()) {
    auto counted = uint32_t(kWaitingOverhead + data.size());
    s.waiting.push_back({binary, counted, std::string(data)});
    hold_bytes(s, counted);
  } else if (!submit(session, AppEvent::message, binary, std::string(data))) {
    return message_failed(session, 1013, "the application is overloaded");
  }
  if (!s.paused && full(session)) {
    s.paused = true;
    if (over_bytes(session)) runtime_.stats.limits_waiting_bytes.add();
    session.transport->pause_reading(true);
  }
}

void AppBackend::came_back(Session& session) {
  if (state(session).paused) session.transport->pause_reading(true);
}

void AppBackend::message_failed(Session& session, uint16_t code, std::string_view why) {
  State& s = state(session);
  runtime_.stats.backend_abandoned.add(s.waiting.size());
  for (const State::Waiting& message : s.waiting) let_go_bytes(s, message.counted);
  s.waiting.clear();
  sessions_.hang_up(session, code, why, EndReason::backend);
}

void AppBackend::message_answered(Session& session, const AppAnswer& answer) {
  if (answer.outcome != AppOutcome::answered) {
    if (uint64_t n = gate_.pass())
      log_warn("message failed session={} backend={} outcome=\"{}\" times={}; closing the session",
               session.id.hex(), conf_.name, outcome_text(answer.outcome), n);
    bool overload =
        answer.outcome == AppOutcome::overloaded || answer.outcome == AppOutcome::no_server;
    bool too_long = answer.outcome == AppOutcome::too_large;
    bool broken_page = answer.outcome == AppOutcome::error_page;
    message_failed(session, overload ? 1013 : 1011,
                   too_long      ? kAnswerTooLong
                   : broken_page ? "the application failed"
                                 : "the application did not answer");
  } else if (answer.status >= 500 && answer.body.empty()) {  // an error page is none of the answers
    message_failed(session, 1011, "the application failed");
  } else if (!actions_.before_close(session, answer)) {
    message_failed(session, 1011, kAnswerTooLong);
  } else {
    actions_.close(session, answer);
  }
}

// A request's answer has been dealt with: hands over the next message, or what is left to do for an ended session.
// The session may be forgotten in here.
void AppBackend::landed(Session& session) {
  State& s = state(session);
  while (!s.waiting.empty() && s.in_flight <= at_once(session)) {  // this one is still among them
    State::Waiting message = std::move(s.waiting.front());
    s.waiting.pop_front();
    let_go_bytes(s, message.counted);
    if (!submit(session, AppEvent::message, message.binary, std::move(message.data)))
      message_failed(session, 1013, "the application is overloaded");
  }
  --s.in_flight;
  // Where all are in flight, each answer makes room; else half a queue at a time.
  unsigned bound = session.listen->max_pending;
  size_t resume_at = at_once(session) == 1 ? bound / 2 : bound - 1;
  bool room = s.waiting.size() + s.in_flight <= resume_at;
  if (s.paused && (!busy(session) || (room && !full(session)))) {
    s.paused = false;
    if (session.transport != nullptr) session.transport->pause_reading(false);
  }
  if (session.phase == SessionPhase::ended) return finish(session);
  if (session.transport != nullptr && !busy(session)) session.transport->all_answered();
}

void AppBackend::tick() {
  carrier_->tick(runtime_.now_ms);
  send_waiting_close_events();
  ask_held_in();
  for (size_t n = 0; n < kRetriesPerTick && !close_retries_.empty(); ++n) {
    auto due = close_retries_.begin();
    if (due->first > runtime_.now_ms) return;
    Session* session = due->second;
    close_retries_.erase(due);
    send_close_event(*session);
  }
}

void AppBackend::abandon() {
  uint64_t owed = 0;
  auto give_up = [&](Session& session) {
    State& s = state(session);
    if (session.phase != SessionPhase::ended || !std::exchange(s.owes_close, false)) return;
    // Or the next process of this slot would send it after all.
    sessions_.set_owes_close(session, false);
    ++owed;
  };
  for (auto& [ticket, flight] : flights_) give_up(*flight.session);
  for (auto& [due, session] : close_retries_) give_up(*session);
  for (Session* session : close_waits_) give_up(*session);
  if (owed == 0) return;
  runtime_.stats.events_close_lost.add(owed);
  runtime_.stats.events_close_owed.sub(owed);
  log_error("close events given up count={} backend={}: the worker ends", owed, conf_.name);
}

}  // namespace holdfast
