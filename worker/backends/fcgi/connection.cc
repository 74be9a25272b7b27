#include "worker/backends/fcgi/connection.h"

#include "conf/server_address.h"

#include <linux/sockios.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast::fcgi {
namespace {

// One turn reads at most so many scratch buffers of one connection.
constexpr int kReadsPerTurn = 4;
// On TCP, acceptance by a server process cannot be seen; a request without an answer for so long
// counts as waiting.
constexpr uint64_t kPatienceMs = 20;
// A call for each change instead of one while something is so: when the other side reads, the kernel tells whoever may
// write (unix_write_space), which is no change of the level.
constexpr short kChanges = EV_READ | EV_WRITE | EV_ET;
// While the kernel frees what was read it still counts one byte (sock_wfree).
constexpr size_t kNothingUnread = 1;

}  // namespace

void Connection::open(ExchangePtr exchange, bool keep, uint64_t now_ms) {
  born_ms_ = now_ms;
  begin(std::move(exchange), keep, now_ms);
  state_ = State::connecting;
  attempt();
}

void Connection::carry(ExchangePtr exchange, bool keep, uint64_t now_ms) {
  HF_CHECK(state_ == State::idle);
  begin(std::move(exchange), keep, now_ms);
  reused_ = true;
  state_ = State::sending;
  send_some();
}

void Connection::begin(ExchangePtr exchange, bool keep, uint64_t now_ms) {
  exchange_ = std::move(exchange);
  set_keep_connection(exchange_->bytes, keep);
  keep_ = keep;
  reader_.reset();
  output_.clear();
  status_.reset();
  sent_ = 0;
  error_ = 0;
  received_ = false;
  said_ = 0;
  began_ms_ = sign_of_life_ms_ = now_ms;
}

ExchangePtr Connection::take_exchange() {
  set_waits(false);
  return std::move(exchange_);
}

void Connection::rest(uint64_t now_ms) {
  HF_CHECK(exchange_ == nullptr);
  state_ = State::idle;
  idle_since_ms_ = now_ms;
  io_->watch(watch_for_answer());
}

void Connection::close(bool answered) {
  if (state_ == State::gone) return;
  state_ = State::gone;
  set_waits(false);
  if (counted_) shared_.stats.backend_connections.sub();
  counted_ = false;
  if (io_) io_->watch(0);
  if (fd_ && answered && !address().is_unix()) {
    // Ends with a reset, so that connections that are not kept do not use up our ports in
    // TIME_WAIT.
    linger reset{.l_onoff = 1, .l_linger = 0};
    setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &reset, sizeof reset);
  }
  fd_.reset();
}

// Whoever adds a member carries it, or says why not: phase_ belongs to connecting, idle_since_ms_ to idle,
// status_, spoiled_ and too_large_ to the end of a request within one call; counted_ is true of all that move.
static_assert(sizeof(Connection) == 360);

bool Connection::under_way() const {
  return (state_ == State::sending && sent_ > 0) || state_ == State::waiting ||
         state_ == State::answering;
}

bool Connection::still_open() const {
  char byte;
  ssize_t got;
  do {
    got = recv(fd_.get(), &byte, 1, MSG_PEEK | MSG_DONTWAIT);
  } while (got == -1 && errno == EINTR);
  return got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK);
}

bool Connection::all_read() const {
  return unread_bytes() <= kNothingUnread;
}

void Connection::call_when_read() {
  if (state_ == State::idle || state_ == State::waiting) io_->watch(kChanges);
}

// Changes once asked for stay asked for: to be told costs less than two calls of epoll_ctl for each request.
short Connection::watch_for_answer() const {
  return io_->watching() == kChanges ? kChanges : kRead;
}

bool Connection::is_late(uint64_t now_ms, uint64_t patience_ms) const {
  return state_ == State::waiting && reused_ && !received_ && now_ms - began_ms_ >= patience_ms;
}

bool Connection::reusable() const {
  return keep_ && !spoiled_ && error_ == 0 && all_sent();
}

// --- connecting ---

void Connection::attempt() {
  const conf::Address& to = address();
  io_.reset();
  if (conf::is_name(to)) return refuse(EHOSTUNREACH);  // not looked up yet, or not found
  fd_.reset(socket(to.raw.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return lacks_resources(errno) ? wait_and_retry(Phase::no_socket, errno) : refuse(errno);
  io_.emplace(shared_.loop, fd_.get(), *this, Call<&Connection::on_ready>{});
  if (!to.is_unix()) {
    int on = 1;
    setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  }
  if (connect(fd_.get(), reinterpret_cast<const sockaddr*>(&to.raw), to.raw_bytes) == 0)
    return connected();
  // After EINTR the connect goes on by itself (POSIX), like after EINPROGRESS.
  if (errno == EINPROGRESS || errno == EINTR) {
    phase_ = Phase::in_progress;
    io_->watch(kWrite);
    return;
  }
  // EAGAIN: a unix listener's backlog is full (unix(7)), or TCP has no free port (connect(2)).
  if (errno == EAGAIN) return wait_and_retry(Phase::backlog_full, errno);
  refuse(errno);
}

void Connection::wait_and_retry(Phase phase, int error) {
  phase_ = phase;
  error_ = error;
  if (io_) io_->watch(0);
  fd_.reset();
}

void Connection::refuse(int error) {
  wait_and_retry(Phase::refused, error);
  shared_.stats.backend_connect_errors.add();
  shared_.owner.on_refused(*this, error, true);
}

void Connection::connected() {
  shared_.stats.backend_connects.add();
  shared_.stats.backend_connections.add();
  counted_ = true;
  error_ = 0;
  sign_of_life_ms_ = shared_.owner.now_ms();
  state_ = State::sending;
  shared_.owner.on_open(*this);
  send_some();
}

void Connection::tick_connecting(uint64_t now_ms) {
  if (now_ms - began_ms_ >= shared_.backend.connect_timeout_ms) {
    shared_.stats.backend_connect_errors.add();
    wait_and_retry(phase_, error_ != 0 ? error_ : ETIMEDOUT);
    return shared_.owner.on_refused(*this, error_, false);
  }
  set_waits(starves_long(now_ms));
  if (phase_ != Phase::in_progress) attempt();
}

// --- carrying ---

void Connection::tick(uint64_t now_ms) {
  if (state_ == State::connecting) return tick_connecting(now_ms);
  if (state_ == State::idle || state_ == State::gone) return;
  if (now_ms - sign_of_life_ms_ >= shared_.backend.read_timeout_ms) return finish(End::timed_out);
  set_waits(starves_long(now_ms));
}

void Connection::on_ready(short ready) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t bytes = sizeof error;
    if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &bytes) == -1) error = errno;
    return error == 0 ? connected() : refuse(error);
  }
  if (state_ == State::idle) {
    return (ready & kRead) != 0 ? shared_.owner.on_idle_end(*this) : shared_.owner.on_read(*this);
  }
  // Input first: an answer that is complete ends the request, whatever writing would say.
  if ((ready & kRead) != 0) return receive();
  if ((ready & kWrite) == 0) return;
  state_ == State::waiting ? shared_.owner.on_read(*this) : send_some();
}

void Connection::send_some() {
  write_pending();
  if (error_ != 0) {
    // The answer may have come before the server closed.
    io_->watch(kRead);
    return sent_ == 0 ? finish(End::not_taken) : receive();
  }
  if (all_sent() && state_ == State::sending) state_ = State::waiting;
  io_->watch(all_sent() ? watch_for_answer() : short(kRead | kWrite));
}

void Connection::write_pending() {
  const std::string& bytes = exchange_->bytes;
  // On a new unix connection the terminator goes alone, for seen_by_server().
  size_t before_terminator = address().is_unix() && !proven_ ? bytes.size() - kTerminatorBytes : 0;
  while (!all_sent()) {
    size_t end = sent_ < before_terminator ? before_terminator : bytes.size();
    ssize_t put = send(fd_.get(), bytes.data() + sent_, end - sent_, MSG_NOSIGNAL);
    if (put >= 0) {
      sent_ += size_t(put);
      sign_of_life_ms_ = shared_.owner.now_ms();
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      error_ = errno;
      return;
    }
  }
}

void Connection::receive() {
  for (int n = 0; n < kReadsPerTurn; ++n) {
    ssize_t got = recv(fd_.get(), shared_.scratch.data(), shared_.scratch.size(), 0);
    if (got > 0) {
      received_ = true;
      sign_of_life_ms_ = shared_.owner.now_ms();
      if (!take({shared_.scratch.data(), size_t(got)})) return;
    } else if (got == 0) {
      return end_of_input(0);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      return;
    } else if (errno != EINTR) {
      return end_of_input(errno);
    }
  }
  // There may be more, which is no change.
  if (io_->watching() == kChanges) io_->watch(kRead);
}

// False: the request has ended.
bool Connection::take(std::string_view bytes) {
  state_ = State::answering;
  proven_ = true;
  set_waits(false);
  bool makes_sense = reader_.feed(bytes, *this);
  if (makes_sense && !status_) return true;
  spoiled_ = !makes_sense;
  finish(status_ ? end_of(*status_) : too_large_ ? End::too_large : End::lost);
  return false;
}

End Connection::end_of(ProtocolStatus status) const {
  if (status == ProtocolStatus::request_complete) return End::complete;
  if (!output_.empty()) return End::lost;  // refused, and yet there is output
  return status == ProtocolStatus::unknown_role ? End::unknown_role : End::overloaded;
}

bool Connection::on_stdout(std::string_view bytes) {
  too_large_ = output_.size() + bytes.size() > shared_.backend.max_response;
  if (!too_large_) output_.append(bytes);
  return !too_large_;
}

bool Connection::on_stderr(std::string_view bytes) {
  said_ |= shared_.stderr_log.write(stderr_line_, bytes, exchange_->session);
  return true;
}

void Connection::on_end(uint32_t app_status, ProtocolStatus status) {
  if (app_status != 0) {
    log_debug("backend application status backend={} session={} status={}", shared_.backend.name,
              exchange_->session, app_status);
  }
  status_ = status;
}

void Connection::finish(End end) {
  said_ |= shared_.stderr_log.finish(stderr_line_, exchange_->session);
  shared_.owner.on_end(*this, end);
}

// --- what is certain ---

// The server's side has ended (error 0), or the connection broke.
void Connection::end_of_input(int error) {
  // A reset that a write has reported looks like an orderly end to the read after it.
  if (error == 0 && error_ != 0 && error_ != EPIPE) error = error_;
  finish(certainly_not_read(error) ? End::not_taken : End::lost);
}

// A reset is no proof: php-fpm runs a script with our last record unread, so a child that is killed
// in the script resets the connection just like one that never looked at it.
bool Connection::certainly_not_read(int error) const {
  if (received_) return false;
  if (sent_ == 0) return true;
  if (error != 0) return false;
  // TCP: the server's FIN acknowledges none of our bytes, so it was sent before they arrived.
  if (!address().is_unix()) return unread_bytes() == sent_;
  // Unix: it ended only its own output, after an earlier request; php-fpm then throws away what
  // still comes in.
  return reused_ && half_closed();
}

bool Connection::half_closed() const {
  pollfd state{.fd = fd_.get(), .events = POLLRDHUP, .revents = 0};
  return poll(&state, 1, 0) == 1 && (state.revents & POLLRDHUP) != 0 &&
         (state.revents & (POLLHUP | POLLERR)) == 0;
}

bool Connection::starves(uint64_t now_ms) {
  if (exchange_ == nullptr || proven_) return false;
  if (state_ == State::connecting && phase_ != Phase::in_progress)
    return phase_ == Phase::backlog_full;
  if (!shows_reading() || state_ == State::connecting) return now_ms >= began_ms_ + kPatienceMs;
  proven_ = seen_by_server();
  if (proven_) set_waits(false);
  return !proven_;
}

// For other workers to see; a moment in the backlog is nothing to close their connections for.
bool Connection::starves_long(uint64_t now_ms) {
  return now_ms >= began_ms_ + kPatienceMs && starves(now_ms);
}

// Unix: SIOCOUTQ counts what lies unread in the server's socket, each write with its kernel
// overhead until it is read to its end. Less than we wrote, or no more than the terminator:
// somebody reads.
bool Connection::seen_by_server() const {
  size_t unread = unread_bytes();
  return unread < sent_ || (all_sent() && unread <= shared_.unix_terminator_bytes);
}

size_t Connection::unread_bytes() const {
  int bytes = 0;
  HF_CHECK(ioctl(fd_.get(), SIOCOUTQ, &bytes) == 0);  // fails for listening sockets only
  return size_t(bytes);
}

void Connection::set_waits(bool waits) {
  if (waits == waits_) return;
  waits_ = waits;
  waits ? shared_.stats.backend_waiting.add() : shared_.stats.backend_waiting.sub();
}

bool lacks_resources(int error) {
  return error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM;
}

size_t measure_unix_terminator() {
  int pair[2];
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) == -1) return 0;
  UniqueFd near(pair[0]), far(pair[1]);
  const char terminator[kTerminatorBytes] = {};
  int bytes = 0;
  if (send(near.get(), terminator, sizeof terminator, MSG_NOSIGNAL) != sizeof terminator) return 0;
  return ioctl(near.get(), SIOCOUTQ, &bytes) == 0 && bytes > 0 ? size_t(bytes) : 0;
}

}  // namespace holdfast::fcgi
