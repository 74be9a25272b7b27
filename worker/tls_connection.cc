#include "worker/tls_connection.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast {

template <class Base>
TlsConnection<Base>::TlsConnection(Home& home, UniqueFd fd) : Base(home, std::move(fd)) {}

template <class Base>
TlsConnection<Base>::~TlsConnection() = default;

// ---- what comes

template <class Base>
void TlsConnection<Base>::proceed(std::string_view early) {
  this->secure();
  accepting_ = std::make_unique<tls::Accepting>(*this->home().tls);
  if (!early.empty()) shake_hands(early);
}

template <class Base>
void TlsConnection<Base>::on_read(std::span<char> bytes) {
  if (this->proxied()) return this->on_bytes(bytes);
  if (accepting_) return shake_hands({bytes.data(), bytes.size()});
  open(bytes);
}

template <class Base>
void TlsConnection<Base>::shake_hands(std::string_view bytes) {
  std::string answer;
  tls::Accepting::Step step = accepting_->feed(bytes, answer);
  std::optional<tls::Secrets> secrets;
  if (step == tls::Accepting::Step::done) secrets = accepting_->secrets();
  owe(answer);
  if (step == tls::Accepting::Step::need_more) return;
  if (!secrets) {
    this->runtime_.stats.tls_failed.add();
    log_debug("TLS hand-shake failed error=\"{}\"", accepting_->error());
    OutputQueue::Written done{};
    (void)send_sealed(&done);  // the alert, if the socket takes it
    return this->retire();
  }
  this->runtime_.stats.tls_handshakes.add();
  if (accepting_->resumed()) this->runtime_.stats.tls_resumed.add();
  log_debug("TLS hand-shake done version={} resumed={} records=worker", accepting_->version(),
            accepting_->resumed() ? "yes" : "no");
  records_.emplace(*secrets);
  std::string rest = accepting_->rest();
  accepting_.reset();
  Base::proceed({});
  if (!rest.empty() && !this->retired()) open(rest);
}

template <class Base>
void TlsConnection<Base>::open(std::span<char> bytes) {
  using Step = tls::Records::Step;
  std::string answer;
  while (!bytes.empty() && !this->retired()) {
    if (!this->reading()) {
      unread_.append(bytes.data(), bytes.size());
      break;
    }
    std::span<char> plain;
    Step step = records_->next(bytes, &plain, answer);
    if (!answer.empty()) owe(std::exchange(answer, {}));
    if (step == Step::data) this->on_bytes(plain);
    if (step == Step::closed) return this->on_end_of_input();
    if (step == Step::broken) {
      this->runtime_.stats.tls_failed.add();
      OutputQueue::Written done{};
      (void)send_sealed(&done);
      return this->on_end();
    }
  }
}

// Not at once: whoever turns reading on is in the middle of something.
template <class Base>
void TlsConnection<Base>::on_reading_again() {
  if (!unread_.empty()) this->flush_soon();
}

template <class Base>
bool TlsConnection<Base>::before_flush() {
  if (!unread_.empty() && this->reading()) {
    std::string bytes = std::exchange(unread_, {});
    open(bytes);
  }
  return !this->retired() && Base::before_flush();
}

template <class Base>
void TlsConnection<Base>::on_end_of_stream() {
  this->on_end();
}

// ---- what goes

template <class Base>
void TlsConnection<Base>::owe(std::string_view ciphertext) {
  if (ciphertext.empty()) return;
  sealed_ += ciphertext;
  this->flush_soon();
}

template <class Base>
bool TlsConnection<Base>::send_sealed(OutputQueue::Written* done) {
  size_t gone = 0;
  while (gone < sealed_.size()) {
    ++done->writes;
    ssize_t sent =
        send(this->fd(), sealed_.data() + gone, sealed_.size() - gone, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (sent == -1 && errno == EINTR) continue;
    if (sent == -1) break;
    gone += size_t(sent);
  }
  bool failed = gone < sealed_.size() && errno != EAGAIN && errno != EWOULDBLOCK;
  sealed_.erase(0, gone);
  if (sealed_.empty()) std::string().swap(sealed_);  // I2
  return !failed;
}

// The bytes that are told are plaintext: what left the queue.
template <class Base>
OutputQueue::Written TlsConnection<Base>::transmit(OutputQueue& output, size_t budget) {
  using Outcome = OutputQueue::Outcome;
  OutputQueue::Written done{Outcome::drained, 0, 0};
  for (;;) {
    if (!send_sealed(&done)) {
      done.outcome = Outcome::failed;
      return done;
    }
    if (!sealed_.empty()) {
      done.outcome = Outcome::blocked;
      return done;
    }
    if (output.empty() || !records_) return done;
    if (done.bytes >= budget) {
      done.outcome = Outcome::more;
      return done;
    }
    std::string plain;
    output.take(plain, kSealed);
    done.bytes += plain.size();
    records_->seal(plain, sealed_);
  }
}

template <class Base>
void TlsConnection<Base>::shut_down_writing() {
  if (records_) {
    records_->seal_close_notify(sealed_);
    OutputQueue::Written done{};
    (void)send_sealed(&done);  // everything else has gone; where there is no room, the end says it
  }
  Base::shut_down_writing();
}

// ---- handover

template <class Base>
typename Base::Record TlsConnection<Base>::save() const {
  Record record = Base::save();
  record.tls.emplace();
  record.tls->records = records_->save();
  record.tls->sealed = sealed_;
  record.tls->unread = unread_;
  return record;
}

template <class Base>
std::unique_ptr<TlsConnection<Base>> TlsConnection<Base>::restore(Home& home, UniqueFd fd,
                                                                  handover::TlsRecord&& record) {
  auto connection = std::make_unique<TlsConnection>(home, std::move(fd));
  connection->records_.emplace(std::move(record.records));
  connection->sealed_ = std::move(record.sealed);
  connection->unread_ = std::move(record.unread);
  return connection;
}

template <class Base>
void TlsConnection<Base>::resume() {
  Base::resume();
  if (!unread_.empty()) this->flush_soon();
}

template class TlsConnection<Client>;
template class TlsConnection<ApiConnection>;

}  // namespace holdfast
