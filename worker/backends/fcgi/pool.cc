#include "worker/backends/fcgi/pool.h"

#include <strings.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <optional>
#include <utility>

#include "base/process_clock.h"
#include "wire/fcgi/content_encoding.h"
#include "worker/backends/fcgi/pool_impl.h"

namespace holdfast::fcgi {
namespace {

constexpr size_t kScratchBytes = 64 * 1024;

Outcome outcome_of(End how) {
  switch (how) {
    case End::complete:
      return Outcome::answered;
    case End::overloaded:
      return Outcome::overloaded;
    case End::timed_out:
      return Outcome::timed_out;
    case End::too_large:
      return Outcome::too_large;
    case End::not_taken:
    case End::unknown_role:
    case End::lost:
      break;
  }
  return Outcome::lost;
}

const char* reason(End how) {
  switch (how) {
    case End::complete:
      break;
    case End::overloaded:
      return "the server says it is overloaded; give it more processes";
    case End::timed_out:
      return "no sign of life for read_timeout; its connection is closed";
    case End::too_large:
      return "the answer passed max_response; its connection is closed";
    case End::not_taken:
      return "the connection ended twice before the server read the request";
    case End::unknown_role:
      return "the server is no FastCGI responder";
    case End::lost:
      return "the connection or a readable answer was lost; see the server's log";
  }
  return "";
}

// fpm_main.c: what php-fpm answers where it runs no script. The error stream alone would not do: a script may write there too;
// and nor would the page, which an application may have for itself.
bool is_error_page(int status, std::string_view body, uint8_t said) {
  if ((said & kSaidBrokeOff) != 0) return true;
  if ((said & kSaidNotRun) == 0) return false;
  return (status == 404 && (body == "File not found.\n" || body == "No input file specified.\n")) ||
         (status == 403 && body == "Access denied.\n");
}

}  // namespace

Pool::Impl::Impl(Loop& loop, const conf::Backend& backend, Share share, shm::StatsBlock& stats,
                 std::function<bool()> others_waiting)
    : loop_(loop),
      backend_(backend),
      servers_(backend.servers),
      share_(share),
      stats_(stats),
      others_waiting_(std::move(others_waiting)),
      stderr_log_(backend.name, stats),
      choice_(backend.servers),
      scratch_(kScratchBytes),
      shared_{loop_,       backend_, servers_, stats_,
              stderr_log_, *this,    scratch_, measure_unix_terminator()} {
  HF_CHECK(share_.connections >= 1 && !servers_.empty());
}

Pool::Impl::~Impl() {
  HF_CHECK(!delivering_);
  if (lookups_ != nullptr) lookups_->forget(*this);
  stats_.backend_queued.sub(queue_.size());
}

bool Pool::Impl::submit(Request request) {
  auto exchange = std::make_unique<Exchange>();
  exchange->submitted_us = monotonic_ns() / 1000;
  exchange->submitted_ms = now_ms();
  exchange->bytes = encode_request(request.params, request.body, true);
  exchange->session = std::move(request.session);
  exchange->caller = request.caller;
  exchange->ticket = request.ticket;
  // A failure on the spot is delivered by the next event or tick.
  bool outer = std::exchange(delivering_, true);
  bool placed = queue_.empty() && place(exchange);
  delivering_ = outer;
  return placed || enqueue(std::move(exchange));
}

bool Pool::Impl::enqueue(ExchangePtr exchange) {
  if (queue_.size() < share_.queue) {
    queue_.push_back(std::move(exchange));
    stats_.backend_queued.add();
    return true;
  }
  stats_.backend_overloaded.add();
  if (uint64_t n = queue_gate_.pass()) {
    log_warn("backend queue full backend={} session={} queue={} times={}; refused", backend_.name,
             exchange->session, share_.queue, n);
  }
  return false;
}

void Pool::Impl::tick(uint64_t at_ms) {
  last_tick_ms_ = std::max(at_ms, now_ms());
  others_wait_ = others_waiting_();
  look_up_names();
  // A connection's tick may retire and add others; retired ones live until the turn ends.
  std::vector<Connection*> all;
  for (const auto& connection : connections_) all.push_back(connection.get());
  for (Connection* connection : all) connection->tick(last_tick_ms_);
  watch_for_late();
  close_idle(!keep_ || others_wait_);
  end_queued_too_long();
  run_queue();
  deliver();
}

void Pool::Impl::keep_no_connections() {
  keep_ = false;
  close_idle(true);
}

// --- what connections tell ---

void Pool::Impl::on_open(Connection& connection) {
  choice_.accepted(connection.server());
  count_sent(connection.exchange());
}

// A request that no server has been sent a byte of goes on to each that nothing is known against.
bool Pool::Impl::may_try_all(Connection& connection, int error, size_t other) const {
  return !connection.exchange().counted && !lacks_resources(error) &&
         !choice_.down_for(other, now_ms(), 0);
}

void Pool::Impl::on_refused(Connection& connection, int error, bool in_time) {
  size_t server = connection.server();
  if (!lacks_resources(error)) choice_.failed(server, now_ms());
  name_failed(server);
  if (uint64_t n = refused_gate_.pass()) {
    log_warn("backend server not reached backend={} server={} times={}: {}; is it running?",
             backend_.name, server_name(server), n, std::strerror(error));
  }
  std::optional<size_t> other = choice_.best_ready(now_ms(), server);
  bool elsewhere =
      other && (!connection.exchange().retried || may_try_all(connection, error, *other));
  bool hope = in_time && !choice_.down_for(server, now_ms(), backend_.connect_timeout_ms);
  if (hope && !elsewhere) return;  // the connection tries again
  ExchangePtr exchange = take_from(connection);
  retire(connection);
  if (elsewhere) {
    retry(std::move(exchange), server);
  } else {
    end(std::move(exchange), {.outcome = Outcome::no_server});
  }
  run_queue();
  deliver();
}

void Pool::Impl::on_end(Connection& connection, End end) {
  size_t server = connection.server();
  std::string output = connection.take_output();
  uint8_t said = connection.said();
  bool keep = end == End::complete && may_keep(connection);
  ExchangePtr exchange = take_from(connection);
  keep ? rest(connection) : retire(connection, end == End::complete);
  if (end == End::complete) {
    complete(std::move(exchange), server, std::move(output), said);
  } else {
    fail(std::move(exchange), server, end);
  }
  run_queue();
  deliver();
}

void Pool::Impl::on_idle_end(Connection& connection) {
  retire(connection);
  run_queue();
  deliver();
}

void Pool::Impl::on_read(Connection&) {
  run_queue();
  deliver();
}

// --- what becomes of a request ---

void Pool::Impl::complete(ExchangePtr exchange, size_t server, std::string output, uint8_t said) {
  CgiHead head;
  if (parse_cgi_head(output, &head) != CgiParse::complete)
    return fail(std::move(exchange), server, End::lost);
  output.erase(0, head.body_offset);
  Answer answer{.outcome = Outcome::answered, .status = head.status, .may_have_run = true};
  if (is_error_page(head.status, output, said)) {
    note_error_page(*exchange, server, head.status);
    answer.outcome = Outcome::error_page;
    answer.may_have_run = (said & kSaidNotRun) == 0;
  } else if (!decode(*exchange, server, head, output, &answer.outcome)) {
    output.clear();
  }
  answer.headers = std::move(head.headers);
  answer.body = std::move(output);
  end(std::move(exchange), std::move(answer));
}

// False: the body is nothing that anybody can read.
bool Pool::Impl::decode(const Exchange& exchange, size_t server, CgiHead& head, std::string& body,
                        Outcome* outcome) {
  Decoding decoding = undo_content_encoding(head.headers, body, backend_.max_response);
  if (decoding == Decoding::none) return true;
  stats_.backend_encoded.add();
  if (decoding == Decoding::undone) return true;
  bool too_large = decoding == Decoding::too_large;
  *outcome = too_large ? Outcome::too_large : Outcome::encoded;
  if (uint64_t n = failed_gate_.pass()) {
    Answer named{.headers = std::move(head.headers)};
    log_warn(
        "backend answer refused backend={} server={} session={} times={}: Content-Encoding \"{}\" "
        "{}; nobody asked for it: "
        "switch compression off for this script",
        backend_.name, server_name(server), exchange.session, n, named.header("Content-Encoding"),
        too_large ? "unpacks to more than max_response" : "cannot be undone");
  }
  return false;
}

void Pool::Impl::note_error_page(const Exchange& exchange, size_t server, int status) {
  stats_.backend_error_pages.add();
  if (uint64_t n = failed_gate_.pass()) {
    log_warn(
        "backend request failed backend={} server={} session={} times={}: status {} and a page "
        "that the application did not "
        "write; see backend stderr",
        backend_.name, server_name(server), exchange.session, n, status);
  }
}

void Pool::Impl::fail(ExchangePtr exchange, size_t server, End how) {
  bool again = how == End::not_taken ||
               (how == End::overloaded && choice_.best_ready(now_ms(), server).has_value());
  if (again && !exchange->retried) return retry(std::move(exchange), server);
  if (uint64_t n = failed_gate_.pass()) {
    log_warn("backend request failed backend={} server={} session={} times={}: {}", backend_.name,
             server_name(server), exchange->session, n, reason(how));
  }
  bool may_have_run = how == End::lost || how == End::timed_out || how == End::too_large;
  end(std::move(exchange), {.outcome = outcome_of(how), .may_have_run = may_have_run});
}

void Pool::Impl::retry(ExchangePtr exchange, size_t server) {
  stats_.backend_retried.add();
  exchange->retried = true;
  exchange->avoid = server;
  if (!place(exchange)) put_back(std::move(exchange));
}

void Pool::Impl::end_queued_too_long() {
  while (!queue_.empty() &&
         now_ms() - queue_.front()->submitted_ms >= backend_.read_timeout_ms) {  // I4
    ExchangePtr exchange = std::move(queue_.front());
    queue_.pop_front();
    stats_.backend_queued.sub();
    if (uint64_t n = queue_gate_.pass()) {
      log_warn(
          "backend request waited read_timeout in the queue backend={} session={} times={}; given "
          "up",
          backend_.name, exchange->session, n);
    }
    end(std::move(exchange), {.outcome = Outcome::overloaded});
  }
}

void Pool::Impl::end(ExchangePtr exchange, Answer answer) {
  count(answer, *exchange);
  done_.push_back({std::move(exchange), std::move(answer)});
}

void Pool::Impl::count(const Answer& answer, const Exchange& exchange) {
  switch (answer.outcome) {
    case Outcome::answered:
      (answer.status < 500 ? stats_.backend_answers : stats_.backend_errors_5xx).add();
      stats_.backend_request_us.record(monotonic_ns() / 1000 - exchange.submitted_us);
      break;
    case Outcome::overloaded:
      stats_.backend_overloaded.add();
      break;
    case Outcome::timed_out:
      stats_.backend_timed_out.add();
      break;
    case Outcome::no_server:
    case Outcome::lost:
    case Outcome::too_large:
    case Outcome::error_page:
    case Outcome::encoded:
      stats_.backend_failed.add();
      break;
  }
}

// I2. What its callers add to done_ waits for the next event or tick, so that one who asks again at
// once does not keep the loop here.
void Pool::Impl::deliver() {
  if (delivering_) return;
  delivering_ = true;
  for (size_t n = done_.size(); n > 0; --n) {
    Done done = std::move(done_.front());
    done_.pop_front();
    Caller* caller = done.exchange->caller;
    if (caller != nullptr) caller->on_answer(done.exchange->ticket, std::move(done.answer));
  }
  delivering_ = false;
}

void Pool::Impl::count_sent(Exchange& exchange) {
  if (!exchange.counted) stats_.backend_requests.add();
  exchange.counted = true;
}

uint64_t Pool::Impl::now_ms() const {
  return std::max(process_ms(), last_tick_ms_);
}

// --- the door ---

Pool::Pool(Loop& loop, const conf::Backend& backend, Share share, shm::StatsBlock& stats,
           std::function<bool()> others_waiting)
    : impl_(std::make_unique<Impl>(loop, backend, share, stats, std::move(others_waiting))) {}
Pool::~Pool() = default;
bool Pool::submit(Request request) {
  return impl_->submit(std::move(request));
}
void Pool::look_up_with(Lookups& lookups) {
  impl_->look_up_with(lookups);
}

void Pool::tick(uint64_t now_ms) {
  impl_->tick(now_ms);
}
void Pool::keep_no_connections() {
  impl_->keep_no_connections();
}
void Pool::settle() {
  impl_->settle();
}
PoolRecord Pool::save() const {
  return impl_->save();
}
std::vector<std::pair<CarriedRecord, int>> Pool::carried() const {
  return impl_->carried();
}
bool Pool::restore(PoolRecord&& record, Caller* caller) {
  return impl_->restore(std::move(record), caller);
}
bool Pool::restore(CarriedRecord&& record, UniqueFd fd, Caller* caller) {
  return impl_->restore(std::move(record), std::move(fd), caller);
}
size_t Pool::in_flight() const {
  return impl_->in_flight();
}
size_t Pool::queued() const {
  return impl_->queued();
}

}  // namespace holdfast::fcgi
