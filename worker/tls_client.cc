#include "worker/tls_client.h"

#include <sys/socket.h>

#include <cerrno>

#include "base/log.h"

namespace holdfast {

TlsClient::TlsClient(const ClientHome& home, UniqueFd fd) : Client(home, std::move(fd)) {}

TlsClient::~TlsClient() = default;

// ---- what comes

void TlsClient::proceed(std::string_view early) {
  secure();
  accepting_ = std::make_unique<tls::Accepting>(*home().tls);
  if (!early.empty()) shake_hands(early);
}

void TlsClient::on_read(std::span<char> bytes) {
  if (proxied()) return on_bytes(bytes);
  if (accepting_) return shake_hands({bytes.data(), bytes.size()});
  open(bytes);
}

void TlsClient::shake_hands(std::string_view bytes) {
  std::string answer;
  tls::Accepting::Step step = accepting_->feed(bytes, answer);
  std::optional<tls::Secrets> secrets;
  if (step == tls::Accepting::Step::done) secrets = accepting_->secrets();
  owe(answer);
  if (step == tls::Accepting::Step::need_more) return;
  if (!secrets) {
    runtime_.stats.tls_failed.add();
    log_debug("TLS hand-shake failed error=\"{}\"", accepting_->error());
    OutputQueue::Written done{};
    (void)send_sealed(&done);  // the alert, if the socket takes it
    return retire();
  }
  runtime_.stats.tls_handshakes.add();
  records_.emplace(*secrets);
  std::string rest = accepting_->rest();
  accepting_.reset();
  Client::proceed({});
  if (!rest.empty() && !retired()) open(rest);
}

void TlsClient::open(std::span<char> bytes) {
  using Step = tls::Records::Step;
  std::string answer;
  while (!bytes.empty() && !retired()) {
    if (!reading()) {
      unread_.append(bytes.data(), bytes.size());
      break;
    }
    std::span<char> plain;
    Step step = records_->next(bytes, &plain, answer);
    if (!answer.empty()) owe(std::exchange(answer, {}));
    if (step == Step::data) on_bytes(plain);
    if (step == Step::closed) return on_end_of_input();
    if (step == Step::broken) {
      runtime_.stats.tls_failed.add();
      OutputQueue::Written done{};
      (void)send_sealed(&done);
      return on_end();
    }
  }
}

// Not at once: whoever turns reading on is in the middle of something.
void TlsClient::on_reading_again() {
  if (!unread_.empty()) flush_soon();
}

bool TlsClient::before_flush() {
  if (!unread_.empty() && reading()) {
    std::string bytes = std::exchange(unread_, {});
    open(bytes);
  }
  return !retired() && Client::before_flush();
}

void TlsClient::on_end_of_stream() {
  on_end();
}

// ---- what goes

void TlsClient::owe(std::string_view ciphertext) {
  if (ciphertext.empty()) return;
  sealed_ += ciphertext;
  flush_soon();
}

bool TlsClient::send_sealed(OutputQueue::Written* done) {
  size_t gone = 0;
  while (gone < sealed_.size()) {
    ++done->writes;
    ssize_t sent =
        send(fd(), sealed_.data() + gone, sealed_.size() - gone, MSG_NOSIGNAL | MSG_DONTWAIT);
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
OutputQueue::Written TlsClient::transmit(OutputQueue& output, size_t budget) {
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

void TlsClient::shut_down_writing() {
  if (records_) {
    records_->seal_close_notify(sealed_);
    OutputQueue::Written done{};
    (void)send_sealed(&done);  // everything else has gone; where there is no room, the end says it
  }
  Client::shut_down_writing();
}

// ---- handover

handover::ClientRecord TlsClient::save() const {
  handover::ClientRecord record = Client::save();
  record.tls.emplace();
  record.tls->records = records_->save();
  record.tls->sealed = sealed_;
  record.tls->unread = unread_;
  return record;
}

std::unique_ptr<TlsClient> TlsClient::restore(const ClientHome& home, UniqueFd fd,
                                              handover::TlsRecord&& record) {
  auto client = std::make_unique<TlsClient>(home, std::move(fd));
  client->records_.emplace(std::move(record.records));
  client->sealed_ = std::move(record.sealed);
  client->unread_ = std::move(record.unread);
  return client;
}

void TlsClient::resume() {
  Client::resume();
  if (!unread_.empty()) flush_soon();
}

}  // namespace holdfast
