// worker/backends/app_backend.h - sessions of an application: which of its requests goes when, and what happens
// with the answers. The carrier (app_carrier.h, fcgi/pool.h) knows servers and sockets; this knows sessions and events.
//
// Order `session` (default): one request of a session is in flight, the rest wait in its queue. Order `none`: all go at
// once, at most max_pending in flight. When max_pending are in flight or wait, or these hold more than max_pending_bytes, or those
// of all sessions of this worker more than max_pending_bytes_per_worker, not one more is decoded and reading from that client
// pauses, until half of the number and all of the bytes allow it. A session without a waiting message may always have one.
//
// The effect of a failed request on its session
//   connect event, no answer          hand-shake refused: 502 lost, 503 no server or overloaded, 504 timed out
//   connect event, status >= 400      hand-shake refused with that status and the body
//   message, no answer                close 1011; 1013 if the backend was overloaded or no server could be reached
//   message, status >= 500, no body   close 1011: the application broke off, and its client must not wait for ever
//   an error page of php-fpm (fcgi/pool.h), or an encoding that cannot be undone
//                                     as no answer: hand-shake refused, 502; message: close 1011; close event: tried again
//                                     if no script ran, else as status >= 500
//   body that cannot be a message     connect event: hand-shake refused, 502; message: close 1011
//   close event                       tried again, 500 ms doubling to 30 s, for close_retry; then counted as lost
// A newcomer's connect event, and a close event, beside the messages of the others: close events may hold a quarter of the
// pool's queue, which connect events leave to them, and the first place that gets free. Those that find none wait in order
// (close_waits_), and as long as one does, connect events wait as well (held_, events.connect_held), for at most
// read_timeout: every newcomer adds a close event for later. More than fit into the queue are refused, 503.
//   subscribe event, status >= 400 or no answer   its client is kept out of the channel, and told
// After a failed message the session's queued ones are dropped and counted (backend.abandoned).
//
// Close events: a session owes one from the moment its connect event was delivered (or may have been: the request was
// sent, the answer did not come), or from its start if only close events are configured. The directory entry
// carries that fact, so that the successor of a dead worker sends the missing ones (adopt()). A connect event that was under
// way when its worker died may have been delivered: the successor counts it and sends the close event.
//   I1  events.connect - events.close - events.close_lost = sessions that owe one (if both events are configured)
//   I2  a session's close event follows its last message
#pragma once

#include <deque>
#include <map>
#include <memory>
#include <unordered_map>

#include "base/fd.h"
#include "worker/backends/app_carrier.h"
#include "worker/backends/app_request.h"
#include "worker/backends/record.h"
#include "worker/backends/reply_actions.h"
#include "worker/sessions/backend.h"

namespace holdfast {

struct Permit;

class AppBackend final : public Backend, private AppCaller {
 public:
  // `queue`: how many requests the carrier lets wait.
  AppBackend(Runtime& runtime, const conf::Backend& conf, unsigned queue, Sessions& sessions,
             Router& router, std::unique_ptr<AppCarrier> carrier);

  void open(Session& session, const Opening& opening) override;
  void message(Session& session, bool binary, std::string_view data) override;
  void gone(Session& session) override;
  bool busy(const Session& session) const override;
  void came_back(Session& session) override;
  void adopt(Session& session, const shm::SessionView& view) override;
  void tick() override;
  std::string save(const Session& session) const override;
  bool restore(Session& session, std::string_view record) override;
  // fcgi/pool.h says when.
  void requeue_unread() override { carrier_->requeue_unread(); }
  std::string save() const override;
  std::vector<std::pair<std::string, int>> carried() const override;
  bool restore(std::string_view record, const SessionById& session_by_id) override;
  bool restore(std::string_view record, UniqueFd fd) override;
  void drain() override { carrier_->keep_no_connections(); }
  void abandon() override;

 private:
  static constexpr std::string_view kAnswerTooLong = "backend answer too long";
  struct State;
  struct Flight {
    Session* session;
    AppEvent event;
    uint32_t bytes;  // of messages.waiting_bytes: a message's request, until it is answered
  };
  static State& state(const Session& session);

  void on_answer(uint64_t ticket, AppAnswer&& answer) override;
  void trace_answer(const Session& session, const AppAnswer& answer);
  unsigned at_once(const Session& session) const;
  bool over_bytes(const Session& session) const;
  bool full(const Session& session) const;
  void hold_bytes(State& state, uint32_t bytes);
  void let_go_bytes(State& state, uint32_t bytes);
  bool submit(Session& session, AppEvent event, bool binary, std::string body,
              std::string_view channel = {});
  // Of the channels in its URL: app_subscribe.cc. False: too many.
  bool note_asked(Session& session, const Opening& opening);
  // The hand-shake is to be answered with these lines, once they are settled.
  void admit(Session& session, std::string lines);
  void settle_asks(Session& session);
  void settle_ask(Session& session, const Permit& permit);
  // With Holdfast-Close: nothing more is asked for.
  void keep_out_if_it_goes(Session& session, const AppAnswer& answer);
  void subscribe_answered(Session& session, const AppAnswer& answer);
  void connect_answered(Session& session, const AppAnswer& answer);
  bool choose_subprotocol(Session& session, const AppAnswer& answer);
  void message_answered(Session& session, const AppAnswer& answer);
  void close_answered(Session& session, const AppAnswer& answer);
  void message_failed(Session& session, uint16_t code, std::string_view why);
  void now_owes_close(Session& session);
  void landed(Session& session);
  void finish(Session& session);
  void send_close_event(Session& session);
  bool submit_close_event(Session& session);
  void give_up_close_event(Session& session);
  void send_waiting_close_events();
  bool ask_in(Session& session);
  void ask_held_in();
  void refuse_overloaded(Session& session);
  void drop_held(Session& session);
  void retry_close_event(Session& session, bool overloaded);
  void settle(Session& session);  // the close event is delivered or given up

  Runtime& runtime_;
  const conf::Backend& conf_;
  Sessions& sessions_;
  const unsigned queue_;        // the pool's
  const unsigned close_share_;  // of it: connect events leave it to close events
  unsigned closes_ = 0;         // close events in the pool
  ReplyActions actions_;
  std::unique_ptr<AppCarrier> carrier_;
  std::unordered_map<uint64_t, Flight> flights_;
  uint64_t next_ticket_ = 1;
  std::multimap<uint64_t, Session*> close_retries_;  // by the time they are due
  std::deque<Session*> close_waits_;                 // for a place in the queue
  std::deque<Session*> held_;                        // connect events that wait for close events
  LogGate gate_;
};

}  // namespace holdfast
