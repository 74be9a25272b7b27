// How a client's connection ends: it says why, and lingers until the other side has read that.

#include "wire/http/request.h"
#include "worker/clients/client.h"

namespace holdfast {
namespace {
constexpr int64_t kEndUnits = 4;
}  // namespace

// ---- by us

void Client::close(uint16_t code, std::string_view text, EndReason reason) {
  if (phase_ == Phase::connecting) return refuse(503, text, reason);
  if (!has_session()) return;
  if (reason == EndReason::slow)
    drop_output(has_request());  // the 101 must be there before the close frame
  phase_ = Phase::closing;
  bool awaits_answer = say_goodbye(code, text);
  end_session(reason, code);
  if (!awaits_answer) return linger();
  settle_input();  // the other side's close frame must be seen, also if the backend had paused reading
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
}

// The session goes on without this connection.
void Client::say_goodbye_and_go(uint16_t code, std::string_view text) {
  session_ = nullptr;
  phase_ = Phase::closing;
  if (!say_goodbye(code, text)) return linger();
  settle_input();
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
}

void Client::give_way() {
  if (has_session()) say_goodbye_and_go(4409, "taken over by another connection");
}

// False: the session does not wait for its client, and is to be ended.
bool Client::detach() {
  // A message was left out already for want of room.
  return phase_ == Phase::open && !slow_ && home_.sessions.detach(*session_);
}

// From here on nothing reaches the session by this client, nor this client by the session.
void Client::end_session(EndReason reason, uint16_t code) {
  runtime_.budget.spend(kEndUnits);  // many may end at once: with a tick, a stop, a kick
  Session& session = *session_;
  session_ = nullptr;
  home_.sessions.end(session, reason, code);
}

void Client::wind_up(WindUp what) {
  switch (phase_) {
    case Phase::proxied:
    case Phase::securing:
      return retire();
    case Phase::handshake:
      return answer_and_linger(503, "text/plain", "the server is stopping", retry_after());
    case Phase::connecting:
      return refuse(503, "the server is stopping", EndReason::stop);
    case Phase::open:
    case Phase::half_closed:
      if (what == WindUp::all) close(EndReason::stop);
      return;
    case Phase::closing:
    case Phase::lingering:
      return;
  }
}

// The answer of a request that gets no session.
void Client::answer_and_linger(int status, std::string_view type, std::string_view body,
                               std::string_view extra) {
  if (status >= 400) runtime_.stats.handshakes_refused.add();
  std::string text(body);
  if (type == "text/plain" && !text.empty()) text += '\n';
  std::string lines = answer_lines();
  lines += extra;
  enqueue(BufferRef::concat(http::make_response(status, type, text, false, lines)),
          Urgency::urgent);
  leave_entrance();
  linger();
}

// ---- by the other side

void Client::on_end() {
  bool lost = phase_ != Phase::half_closed;
  if (detach())
    session_ = nullptr;
  else if (session_ != nullptr)
    end_session(lost ? EndReason::connection_lost : EndReason::client_closed, lost ? 1006 : 1000);
  retire();
}

void Client::on_end_of_input() {
  if (output_empty() || phase_ != Phase::lingering) return on_end();
  read_on(false);
}

// ---- what is left to be sent

void Client::linger() {
  if (phase_ == Phase::lingering || retired()) return;
  phase_ = Phase::lingering;
  drop_undecoded();
  read_on(true);
  arm(runtime_.now_ms + home_.listen.close_timeout_ms);
  if (output_empty()) on_drained();
}

void Client::on_drained() {
  if (phase_ != Phase::lingering || shut_) return;
  shut_ = true;
  shut_down_writing();
  if (!reading()) retire();  // the other side has ended already
}

}  // namespace holdfast
