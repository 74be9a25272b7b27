// Event subscribe: the channels that a client's URL names, one after the other, before its hand-shake is answered. So its first message,
// and what it asks to recover, find it where it may be.

#include "base/log.h"
#include "worker/backends/app_backend.h"
#include "worker/backends/app_state.h"
#include "worker/backends/permits.h"
#include "worker/sessions/transport.h"

namespace holdfast {

bool AppBackend::note_asked(Session& session, const Opening& opening) {
  if (opening.request == nullptr || runtime_.config.channels.empty()) return true;
  size_t most = runtime_.config.limits.max_channels_per_session;
  std::vector<std::string> channels = ruled_channels(runtime_.config, *opening.request, most);
  if (channels.empty()) return true;
  if (channels.size() > most) return false;
  auto asking = std::make_unique<State::Asking>();
  for (std::string& channel : channels) asking->channels.push_back(std::move(channel));
  state(session).asking = std::move(asking);
  return true;
}

void AppBackend::admit(Session& session, std::string lines) {
  if (!state(session).asking) return session.transport->accept(lines);
  state(session).asking->lines = std::move(lines);
  settle_asks(session);
}

// Ends with the answer to the hand-shake, or with a request under way.
void AppBackend::settle_asks(Session& session) {
  State::Asking& asking = *state(session).asking;
  while (!asking.channels.empty()) {
    const std::string& channel = asking.channels.front();
    Permit permit = permit_for(runtime_.config, session, channel, conf_.event_subscribe);
    if (permit.entry == Entry::ask) {
      if (submit(session, AppEvent::subscribe, false, {}, channel)) return;
      runtime_.stats.events_subscribe_failed.add();
      permit = {Entry::kept_out, "unavailable"};
    }
    settle_ask(session, permit);
  }
  std::string lines = std::move(asking.lines);
  state(session).asking.reset();
  session.transport->accept(lines);
}

void AppBackend::settle_ask(Session& session, const Permit& permit) {
  std::deque<std::string>& channels = state(session).asking->channels;
  std::string channel = std::move(channels.front());
  channels.pop_front();
  if (permit.entry == Entry::kept_out) return sessions_.keep_out(session, channel, permit.reason);
  // A reload may have taken the rule away: then it is a name in a URL, which means nothing here.
  if (permit.entry == Entry::free) return;
  if (sessions_.join(session, channel, true) == Hub::Joined::too_many)
    sessions_.keep_out(session, channel, "too many channels");
}

// It is told, as Holdfast-Close may make no sense, and then it stays.
void AppBackend::keep_out_if_it_goes(Session& session, const AppAnswer& answer) {
  if (answer.header("Holdfast-Close").empty() || !state(session).asking) return;
  while (!state(session).asking->channels.empty())
    settle_ask(session, {Entry::kept_out, "backend"});
}

void AppBackend::subscribe_answered(Session& session, const AppAnswer& answer) {
  bool answered = answer.outcome == AppOutcome::answered;
  (answered ? runtime_.stats.events_subscribe : runtime_.stats.events_subscribe_failed).add();
  if (session.transport == nullptr) return;  // left or kicked meanwhile
  Permit permit{Entry::let_in};
  if (!answered) {
    if (uint64_t n = gate_.pass())
      log_warn(
          "subscribe event failed session={} backend={} outcome=\"{}\" times={}; keeping clients "
          "out",
          session.id.hex(), conf_.name, outcome_text(answer.outcome), n);
    permit = {Entry::kept_out, "unavailable"};
  } else if (answer.status >= 400) {
    permit = {Entry::kept_out, "backend"};
  }
  settle_ask(session, permit);
  if (permit.entry == Entry::kept_out) return settle_asks(session);
  bool whole = actions_.before_close(session, answer);
  if (session.transport == nullptr) return;
  if (!whole) return session.transport->refuse(502, kAnswerTooLong, EndReason::backend);
  keep_out_if_it_goes(session, answer);
  settle_asks(session);
  if (session.transport != nullptr) actions_.close(session, answer);
}

}  // namespace holdfast
