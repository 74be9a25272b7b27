// worker/backends/fcgi/pool.h - requests to one backend's servers, over a bounded number of connections.
//
// One Pool per backend and worker. It gets `share` of the backend's max_connections and queue. The
// server comes first: (requests in flight + 1) / weight, lowest first; one that refused a
// connection is left out for a back-off of 100 ms doubling to 5 s unless no other is left. Then an
// idle kept connection to it, else a new one if the share allows, else an idle one to another
// server, else the request waits in the queue, first in, first out, for at most read_timeout.
//
// A request ends (Outcome) exactly once for each accepted submit(), never inside submit():
//   answered     END_REQUEST with REQUEST_COMPLETE and a readable CGI header; status is set
//   overloaded   it waited in the queue for read_timeout; or END_REQUEST with FCGI_OVERLOADED or
//                FCGI_CANT_MPX_CONN, and no other server took it
//   no_server    no connection within connect_timeout, on two servers or on the only one; at once
//                if that server has accepted nothing for longer than connect_timeout already
//   timed_out    no sign of life for read_timeout: no byte received, none of ours taken
//   lost         before END_REQUEST the connection ended or its bytes made no sense; or END_REQUEST
//                with FCGI_UNKNOWN_ROLE; or a CGI header that cannot be read
//   too_large    the answer's output exceeded max_response
//   error_page   the answer is not the application's: php-fpm reports on its error stream that it ran
//                no script (404 "File not found.", 403 "Access denied."; may_have_run is false), or that
//                the script broke off with a fatal error; status and body are there for the log
//   encoded      a Content-Encoding that cannot be undone; gzip and deflate are (content_encoding.h)
// So a restart of php-fpm shorter than connect_timeout loses no request that was not sent yet. There
// is no abort record, for php-fpm knows none: a request is aborted by closing its connection.
//
// Retry: once, and only if no server process can have read the request:
//   R1  No connection came about, or not one byte could be written.
//   R2  FCGI_OVERLOADED or FCGI_CANT_MPX_CONN before any output.
//   R3  TCP: the server ended the connection in order and has acknowledged none of our bytes.
//   R4  unix: on a kept connection the server ended its own output only (POLLRDHUP, no POLLHUP)
//       before any byte of the answer. So does a php-fpm child that has served pm.max_requests,
//       and throws away later input.
// ECONNRESET is no reason for a retry: php-fpm runs a script with the last STDIN record unread, and
// a child that is killed in its script resets the connection too (php_fpm_test shows it): lost.
//
// Keep-alive. A kept connection pins one php-fpm child, so it is closed when it is kMaxAgeMs (1 s)
// old, so that other users of these children get their turn. An answer does not mean that the child is
// ready for more: it may be about to end, or work on after fastcgi_finish_request().
//   unix  php-fpm reads the last record of a request (the terminator: STDIN, empty) when it looks for
//         the next one, after it has decided not to end. So if SIOCOUTQ shows that nothing is unread
//         and the child has not shut its output (it does so before it drains, R4), it waits for the next
//         request and will serve it, whatever signal for an orderly end comes meanwhile. Only then is a
//         request given to it; before that, nothing of the request is sent, and any other connection may
//         have it (backend.unread). The kernel reports that moment (call_when_read()), so a request in the
//         queue waits for the first child that is ready. A server that reads the terminator before it
//         answers shows nothing: its connections rest as on TCP.
//   TCP   the child's reading cannot be seen. A kept connection rests for kRestMs (10 ms), in which its
//         end would show, before it takes another request; with requests in the queue none is kept: a new
//         one is safe at once. One on which a request had no answer within keep_alive_patience may have a
//         child that works on: no connection to that server is kept for the next 10 s.
// keep_alive = false keeps none.
//
// Starvation. A connection that no child has accepted yet waits in the listen backlog while kept
// ones hold the children. On unix sockets such a request is recognised exactly (SIOCOUTQ: nothing
// of it has been read). A sent request cannot be taken back (a child reads and runs it though we have closed
// the connection), so not more go there than must: once one has waited for kAcceptMs (2 ms), further requests wait in
// the queue, from which the first ready connection takes them; and when it has waited for kTurnMs (5 ms), the next
// answer's connection is closed, so that its child serves the one that waits. On TCP it is recognised
// by patience: no answer 20 ms after it began. While one waits for a
// server, answers of that server end their connections and each tick closes its idle ones; and each
// tick closes those to all servers while any worker has one that waits (others_waiting(), from the
// gauges `backend.waiting`, which tick() keeps). The price: over TCP, new connections with scripts
// slower than 20 ms switch keep-alive off. That costs a connect of some 50 us for each request of
// more than 20 ms; fast scripts stay unaffected, for they answer within the patience.
//
// State of a connection (the rows are walked by pool_states_test and pool_retry_test):
//   state       event                    -> state       action
//   connecting  connected                   sending     send the prepared bytes
//   connecting  EAGAIN (backlog full)       connecting  another attempt on each tick
//   connecting  refused                     gone        retry, if there is another server
//   connecting  refused, no other server    connecting  another attempt on each tick
//   connecting  connect_timeout             gone        retry on another server, or no_server
//   sending     all sent                    waiting     -
//   sending     EPIPE, EOF, reset           gone        retry (R1, R3, R4) or lost
//   sending     bytes                       answering   the rest is still sent
//   waiting     bytes                       answering   parse; STDERR to the log (rate limited)
//   waiting     EOF, reset                  gone        retry (R3, R4) or lost
//   (last two)  read_timeout                gone        timed_out; no retry, it may be at work
//   answering   END_REQUEST                 idle, gone  answered; kept if allowed and all was sent
//   answering   EOF, reset, nonsense        gone        lost
//   answering   max_response passed         gone        too_large
//   idle        request, it is ready        sending     -
//   idle        all is read now             idle        queued requests are placed
//   idle        EOF, any byte               gone        -
//   idle        too old, starvation, drain  gone        -
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "conf/config.h"
#include "shm/stats.h"
#include "worker/backends/app_request.h"
#include "worker/backends/fcgi/record.h"
#include "worker/backends/lookups.h"

namespace holdfast::fcgi {

using Outcome = AppOutcome;
using Answer = AppAnswer;
using Caller = AppCaller;

struct Request {
  std::string params;  // encoded name-value pairs (wire/fcgi/records.h: append_param)
  std::string body;
  std::string session;       // for log lines
  Caller* caller = nullptr;  // null: nobody wants the answer
  uint64_t ticket = 0;       // the caller's own name for it
};

class Pool {
 public:
  static constexpr uint64_t kRestMs = 10;
  static constexpr uint64_t kMaxAgeMs = 1'000;
  // Unix. A free child accepts at once; a connection that waits longer says that there is none.
  static constexpr uint64_t kAcceptMs = 2;
  // Unix. A connection that has waited so long for a child gets one that others would have kept.
  static constexpr uint64_t kTurnMs = 5;

  struct Share {
    unsigned connections;  // >= 1
    unsigned queue;
  };
  // others_waiting: true while any worker's requests have waited for a server process for longer
  // than a tick. `backend` lives as long as the pool.
  Pool(Loop& loop, const conf::Backend& backend, Share share, shm::StatsBlock& stats,
       std::function<bool()> others_waiting);
  ~Pool();  // open requests are dropped without an answer
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Servers with a name are looked up there, from the next tick on, every resolve_every and when one cannot be reached.
  // `lookups` outlives the pool.
  void look_up_with(Lookups& lookups);
  // False: the queue is full; nothing was taken, counted as backend.overloaded.
  bool submit(Request request);
  // From the worker's 100 ms tick: deadlines, back-offs, idle connections. now_ms is
  // process_ms(), or later.
  void tick(uint64_t now_ms);
  // No connection is kept any more (the worker drains).
  void keep_no_connections();
  // ---- handover. Predecessor: settle(), then save() and carried(), between two turns of the loop; if it comes
  // to nothing, the pool goes on. Idle connections are closed, and requests that no server can have read are queued again.
  void settle();
  PoolRecord save() const;
  // One for each request under way, with its descriptor (borrowed).
  std::vector<std::pair<CarriedRecord, int>> carried() const;
  // Successor, before anything else: the gauges already count all that is restored. All callers are `caller`. False: the
  // record makes no sense.
  bool restore(PoolRecord&& record, Caller* caller);
  bool restore(CarriedRecord&& record, UniqueFd fd, Caller* caller);

  // Requests that were taken and are neither queued nor answered.
  size_t in_flight() const;
  size_t queued() const;

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace holdfast::fcgi
