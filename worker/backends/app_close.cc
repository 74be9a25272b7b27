// Close events: one is owed for each session that the application has accepted, and is tried until it is delivered or given up.

#include <algorithm>

#include "base/log.h"
#include "worker/backends/app_backend.h"
#include "worker/backends/app_state.h"

namespace holdfast {
namespace {

constexpr uint64_t kFirstRetryMs = 500;
constexpr uint64_t kLastRetryMs = 30'000;

}  // namespace

void AppBackend::gone(Session& session) {
  drop_held(session);
  if (state(session).owes_close) runtime_.stats.events_close_owed.add();
  finish(session);
}

bool AppBackend::busy(const Session& session) const {
  return state(session).in_flight > 0 || !state(session).waiting.empty();
}

void AppBackend::finish(Session& session) {
  if (busy(session)) return;  // I2
  if (state(session).owes_close) return send_close_event(session);
  sessions_.forget(session);
}

void AppBackend::send_close_event(Session& session) {
  State& s = state(session);
  if (s.give_up_ms == 0) s.give_up_ms = runtime_.now_ms + conf_.close_retry_ms;
  if (!close_waits_.empty() || !submit_close_event(session)) close_waits_.push_back(&session);
}

// False: there is no place.
bool AppBackend::submit_close_event(Session& session) {
  bool room = closes_ < std::max(1u, close_share_) && carrier_->queued() < std::max(1u, queue_);
  return room && submit(session, AppEvent::close, false, {});
}

void AppBackend::send_waiting_close_events() {
  while (!close_waits_.empty()) {
    Session& session = *close_waits_.front();
    bool late = runtime_.now_ms >= state(session).give_up_ms;
    if (!late && !submit_close_event(session)) return;
    close_waits_.pop_front();
    if (late) give_up_close_event(session);
  }
}

void AppBackend::give_up_close_event(Session& session) {
  runtime_.stats.events_close_lost.add();
  log_error(
      "close event given up session={} user={} backend={}: no server answered for close_retry",
      session.id.hex(), session.user.view(), conf_.name);
  settle(session);
}

void AppBackend::retry_close_event(Session& session, bool overloaded) {
  State& s = state(session);
  if (runtime_.now_ms >= s.give_up_ms) return give_up_close_event(session);
  s.retry_ms = overloaded ? kFirstRetryMs : std::clamp(s.retry_ms * 2, kFirstRetryMs, kLastRetryMs);
  close_retries_.emplace(runtime_.now_ms + s.retry_ms, &session);
}

void AppBackend::close_answered(Session& session, const AppAnswer& answer) {
  --state(session).in_flight;
  bool broke_off = answer.outcome == AppOutcome::error_page && answer.may_have_run;
  bool unread = answer.outcome == AppOutcome::encoded;
  if (answer.outcome != AppOutcome::answered && !broke_off && !unread) {
    runtime_.stats.events_close_retried.add();
    return retry_close_event(session, answer.outcome == AppOutcome::overloaded);
  }
  runtime_.stats.events_close.add();
  if (answer.status >= 500 || broke_off)
    log_warn("close event answered with status={} session={} backend={}; not repeated",
             answer.status, session.id.hex(), conf_.name);
  if (!broke_off && !unread)
    (void)actions_.before_close(session, answer);  // nobody is left to be told
  settle(session);
}

void AppBackend::settle(Session& session) {
  state(session).owes_close = false;
  runtime_.stats.events_close_owed.sub();
  sessions_.forget(session);
}

void AppBackend::adopt(Session& session, const shm::SessionView& view) {
  auto fresh = std::make_unique<State>();
  fresh->facts = carrier_->orphan_facts(view);
  fresh->owes_close = true;
  session.backend_state = std::move(fresh);
  if ((view.control.flags & shm::kConnectUnanswered) != 0) {
    runtime_.stats.events_connect.add();  // I1
    sessions_.set_owes_close(session, true);
  }
  runtime_.stats.events_close_owed.add();
  finish(session);
}

}  // namespace holdfast
