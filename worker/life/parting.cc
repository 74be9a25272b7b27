#include "worker/life/parting.h"

#include <algorithm>
#include <string_view>
#include <vector>

#include "worker/sessions/transport.h"

namespace holdfast {

bool Parting::begin(Plan plan) {
  bool stop = plan.reason == EndReason::stop;
  if (runtime_.stopping && !stop) return false;
  if (plan_) plan.until_ms = std::min(plan.until_ms, plan_->until_ms);
  runtime_.stopping = stop;
  plan_ = plan;
  spread();
  return true;
}

void Parting::spread() {
  from_ms_ = runtime_.now_ms;
  sessions_then_ = sessions_.live();
  next_ = 0;
  share_due_ = true;
}

bool Parting::go() {
  bool ending = runtime_.stopping || runtime_.now_ms >= plan_->until_ms;
  bool patient = runtime_.now_ms < plan_->until_ms + kHandOutMs;
  if (ending && patient && !router_.carrier().idle()) return false;  // I3
  if (share_due_) share_due_ = close_a_share();
  return wind_up_some() || share_due_;
}

void Parting::begin_wind_up(WindUp what) {
  bool under_way = wind_up_at_ < wind_up_end_;
  if (under_way && (wind_up_ == what || what == WindUp::unopened)) return;
  wind_up_ = what;
  wind_up_at_ = 0;
  wind_up_end_ = SIZE_MAX;
}

bool Parting::wind_up_some() {
  if (wind_up_at_ >= wind_up_end_) return false;
  bool more = connections_.for_some(
      wind_up_at_, kSlice, [this](Connection& connection) { connection.wind_up(wind_up_); });
  if (!more) wind_up_end_ = 0;
  return more;
}

// As many sessions may stay as there is time left, so that clients do not come back all at once, and the last one
// only when the time is up.
bool Parting::close_a_share() {
  size_t live = sessions_.live();
  uint64_t left = plan_->until_ms > runtime_.now_ms ? plan_->until_ms - runtime_.now_ms : 0;
  uint64_t whole = std::max<uint64_t>(plan_->until_ms - from_ms_, 1);
  size_t may_stay = size_t((sessions_then_ * left + whole - 1) / whole);
  if (live <= may_stay) return false;
  size_t share = std::min(live - may_stay, kSlice);
  // A session that is just connecting would be refused: it is let in first, as long as there is time.
  bool unopened_too = left == 0 || runtime_.stopping;
  std::vector<Session*> leaving;
  sessions_.for_each_live_from(next_, [&](Session& session) {
    if (unopened_too || session.phase != SessionPhase::connecting) leaving.push_back(&session);
    return leaving.size() < share;
  });
  std::string_view text =
      plan_->reason == EndReason::reload ? "service restart" : "server stopping";
  for (Session* session : leaving) sessions_.hang_up(*session, plan_->code, text, plan_->reason);
  return !leaving.empty() && live - may_stay > leaving.size();
}

bool Parting::tick() {
  share_due_ = true;
  bool late = runtime_.now_ms >= plan_->until_ms;
  if (late || runtime_.stopping) begin_wind_up(late ? WindUp::all : WindUp::unopened);
  return is_done();
}

bool Parting::is_done() const {
  const conf::Config& config = runtime_.config;
  uint64_t farewell = plan_->wait_for_close_events ? kFarewellMs : config.server.stop_timeout_ms;
  uint64_t events = 0;  // an application that never answers must not keep this process for ever
  if (plan_->wait_for_close_events) {
    for (const auto& [name, backend] : config.backends)
      events = std::max(events, backend.close_retry_ms);
  }
  uint64_t give_up = plan_->until_ms + farewell;
  bool connections_done = connections_.size() == 0 || runtime_.now_ms >= give_up;
  bool sessions_done = sessions_.size() == 0 || runtime_.now_ms >= give_up + events;
  return connections_done && sessions_done;
}

}  // namespace holdfast
