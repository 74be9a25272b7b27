// What travels of an AppBackend, and of its part of a session.

#include <algorithm>

#include "worker/backends/app_backend.h"
#include "worker/backends/app_state.h"

namespace holdfast {

std::string AppBackend::save(const Session& session) const {
  // Whoever adds a member carries it; bytes and in_flight follow from the rest.
  static_assert(sizeof(State) == 160);
  if (session.backend_state == nullptr) return {};
  const State& s = state(session);
  handover::SessionStateRecord record;
  record.params = s.facts;
  for (const State::Waiting& w : s.waiting) record.waiting.push_back({w.binary, w.data, w.counted});
  record.owes_close = s.owes_close;
  record.paused = s.paused;
  record.retry_ms = s.retry_ms;
  record.give_up_ms = s.give_up_ms;
  record.held = s.held;
  if (s.asking) {
    record.asks.assign(s.asking->channels.begin(), s.asking->channels.end());
    record.lines = s.asking->lines;
  }
  return handover::save(record);
}

bool AppBackend::restore(Session& session, std::string_view bytes) {
  handover::SessionStateRecord record;
  if (!handover::load(bytes, record)) return false;
  auto fresh = std::make_unique<State>();
  fresh->facts = std::move(record.params);
  for (handover::WaitingRecord& w : record.waiting) {
    fresh->bytes += w.counted;  // the gauge knows of them
    fresh->waiting.push_back({w.binary, w.counted, std::move(w.data)});
  }
  fresh->owes_close = record.owes_close;
  fresh->paused = record.paused;
  fresh->retry_ms = record.retry_ms;
  fresh->give_up_ms = record.give_up_ms;
  fresh->held = record.held;
  if (!record.asks.empty()) {
    fresh->asking = std::make_unique<State::Asking>();
    fresh->asking->channels.assign(record.asks.begin(), record.asks.end());
    fresh->asking->lines = std::move(record.lines);
  }
  session.backend_state = std::move(fresh);
  if (record.held) held_.push_back(&session);
  return true;
}

std::string AppBackend::save() const {
  handover::BackendRecord record;
  record.next_ticket = next_ticket_;
  for (const auto& [ticket, flight] : flights_)
    record.flights.push_back({ticket, flight.session->id.hi, flight.session->id.lo,
                              uint8_t(flight.event), flight.bytes});
  for (const auto& [due, session] : close_retries_)
    record.close_retries.push_back({due, session->id.hi, session->id.lo});
  for (const Session* session : close_waits_)
    record.close_retries.push_back({runtime_.now_ms, session->id.hi, session->id.lo});
  record.carrier = carrier_->save();
  return handover::save(record);
}

std::vector<std::pair<std::string, int>> AppBackend::carried() const {
  return carrier_->carried();
}

bool AppBackend::restore(std::string_view bytes, UniqueFd fd) {
  return carrier_->restore(bytes, std::move(fd), *this);
}

bool AppBackend::restore(std::string_view bytes, const SessionById& session_by_id) {
  handover::BackendRecord record;
  if (!handover::load(bytes, record)) return false;
  next_ticket_ = std::max(next_ticket_, record.next_ticket);
  for (const handover::FlightRecord& f : record.flights) {
    Session* session = session_by_id({f.session_hi, f.session_lo});
    bool known =
        session != nullptr && session->backend == this && session->backend_state != nullptr;
    if (!known || f.event > uint8_t(AppEvent::subscribe)) return false;
    flights_.emplace(f.ticket, Flight{session, AppEvent(f.event), f.bytes});
    ++state(*session).in_flight;
    if (AppEvent(f.event) == AppEvent::close) ++closes_;
    state(*session).bytes += f.bytes;
  }
  for (const handover::RetryRecord& r : record.close_retries) {
    Session* session = session_by_id({r.session_hi, r.session_lo});
    if (session == nullptr || session->backend != this) return false;
    close_retries_.emplace(r.due_ms, session);
  }
  return carrier_->restore(record.carrier, *this);
}

}  // namespace holdfast
