// worker/net/tls_connection_impl.h - the members of TlsConnection, for the rooms that have a kind of it (clients/tls.cc, api/tls.cc).
#pragma once

#include <sys/socket.h>

#include <cerrno>
#include <chrono>
#include <utility>

#include "base/log.h"
#include "worker/net/tls/record.h"
#include "worker/net/tls_connection.h"

namespace holdfast {
namespace tls_detail {

// To somebody who speaks without TLS, in his own words, in the place of an alert; "" where it is no such speech.
inline std::string_view told_in_plain(std::string_view bytes) {
  for (std::string_view method : {"GET ", "POST ", "HEAD ", "PUT ", "OPTIONS ", "DELETE "})
    if (bytes.starts_with(method))
      return "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nConnection: close\r\n"
             "Content-Length: 48\r\n\r\nthis is a plain request; the listener wants TLS\n";
  if (bytes.starts_with('*') || bytes.starts_with("PING"))
    return "-ERR this is a plain request; the listener wants TLS\r\n";
  return {};
}

inline constexpr int64_t kSilentRecord = 1;  // what one costs that says nothing, in units of a turn

// A home that is kept for a former listener's connections has no context.
template <class Home>
uint64_t most_records(const Home& home) {
  return home.tls != nullptr ? home.tls->most_records() : tls::Records::kMostRecords;
}

}  // namespace tls_detail

template <class Base>
TlsConnection<Base>::TlsConnection(Home& home, UniqueFd fd) : Base(home, std::move(fd)) {
  this->asks_before_flush_ = true;
}

template <class Base>
TlsConnection<Base>::~TlsConnection() {
  if (!uncounted_) this->runtime_.stats.bytes_unsent.sub(sealed_.size());
}

template <class Base>
void TlsConnection<Base>::on_retire() {
  if (handshake_) half_open().leave(*handshake_);
  Base::on_retire();
}

// ---- the hand-shake

template <class Base>
void TlsConnection<Base>::proceed(std::string_view early) {
  this->secure();
  handshake_ = std::make_unique<Handshake>(*this);
  half_open().enter(*handshake_, this->newcomer());
  take_in(early);
}

template <class Base>
void TlsConnection<Base>::on_read(std::span<char> bytes) {
  if (this->proxied()) return this->on_bytes(bytes);
  if (handshake_) return take_in({bytes.data(), bytes.size()});
  open(bytes);
}

template <class Base>
void TlsConnection<Base>::take_in(std::string_view bytes) {
  if (!std::exchange(handshake_->begun, true))
    if (std::string_view told = tls_detail::told_in_plain(bytes); !told.empty())
      return refuse_plain(told);
  bool whole = handshake_->accepting.take(bytes);
  half_open().holds(*handshake_, handshake_->accepting.held_bytes());
  if (!whole) return;
  if (half_open().its_turn(*handshake_)) return shake_hands();
  this->read_on(false);  // so it keeps one read at most
}

// What comes is no hand-shake.
template <class Base>
void TlsConnection<Base>::refuse_plain(std::string_view told) {
  this->runtime_.stats.tls_failed.add();
  owe(told);
  OutputQueue::Written done{};
  (void)send_sealed(&done);
  this->retire();
}

template <class Base>
void TlsConnection<Base>::Handshake::go_on() {
  TlsConnection& owner = connection;
  if (owner.retired()) return;
  owner.read_on(true);
  owner.shake_hands();
}

template <class Base>
void TlsConnection<Base>::shake_hands() {
  using Clock = std::chrono::steady_clock;
  tls::Accepting& accepting = handshake_->accepting;
  std::string answer;
  auto from = Clock::now();
  tls::Accepting::Step step = accepting.step(answer);
  auto took = std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - from);
  half_open().spend(uint64_t(took.count()));
  half_open().holds(*handshake_, accepting.held_bytes());
  owe(answer);
  if (step == tls::Accepting::Step::need_more) return;
  if (step == tls::Accepting::Step::done) return shaken();
  this->runtime_.stats.tls_failed.add();
  log_debug("TLS hand-shake failed error=\"{}\"", accepting.error());
  OutputQueue::Written done{};
  (void)send_sealed(&done);  // the alert, if the socket takes it
  this->retire();
}

template <class Base>
void TlsConnection<Base>::shaken() {
  tls::Accepting& accepting = handshake_->accepting;
  std::optional<tls::Secrets> secrets = accepting.secrets();
  if (!secrets) {
    this->runtime_.stats.tls_failed.add();
    return this->retire();
  }
  this->runtime_.stats.tls_handshakes.add();
  if (accepting.resumed()) this->runtime_.stats.tls_resumed.add();
  log_debug("TLS hand-shake done version={} resumed={} records=worker", accepting.version(),
            accepting.resumed() ? "yes" : "no");
  if constexpr (requires { this->vouched_for(std::string()); })
    this->vouched_for(accepting.anchor());
  records_.emplace(*secrets, tls_detail::most_records(this->home()));
  std::string rest = accepting.rest();
  half_open().leave(*handshake_);
  handshake_.reset();
  Base::proceed({});
  if (!rest.empty() && !this->retired()) open(rest);
}

// ---- what comes

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
    Step step = records_->next(bytes, &plain, answer, this->runtime_.now_ms);
    if (!answer.empty()) owe(std::exchange(answer, {}));
    if (step == Step::data) this->on_bytes(plain);
    if (step == Step::closed) return this->on_end_of_input();
    if (step == Step::broken) {
      this->runtime_.stats.tls_failed.add();
      OutputQueue::Written done{};
      (void)send_sealed(&done);
      return this->on_end();
    }
    if (step == Step::nothing) this->runtime_.budget.spend(tls_detail::kSilentRecord);
  }
  if (this->retired()) return;
  count_rekeyed();
  if (records_->owes_update() || records_->used_up()) this->flush_soon();
}

template <class Base>
void TlsConnection<Base>::count_rekeyed() {
  if (unsigned times = records_->take_rekeyed()) this->runtime_.stats.tls_rekeyed.add(times);
}

// Not at once: whoever turns reading on is in the middle of something.
template <class Base>
void TlsConnection<Base>::on_reading_again() {
  if (!unread_.empty()) this->flush_soon();
}

template <class Base>
bool TlsConnection<Base>::before_flush() {
  if (!unread_.empty() && this->reading()) {
    if (this->runtime_.budget.turn_spent()) {
      this->flush_soon();
    } else {
      std::string bytes = std::exchange(unread_, {});
      open(bytes);
    }
  }
  if (!this->retired() && records_ && records_->used_up()) this->keys_used_up();
  return !this->retired() && Base::before_flush();
}

template <class Base>
void TlsConnection<Base>::on_end_of_stream() {
  this->on_end();
}

// ---- what goes

template <class Base>
template <class Seal>
void TlsConnection<Base>::sealing(Seal&& seal) {
  size_t before = sealed_.size();
  seal();
  this->runtime_.stats.bytes_unsent.add(sealed_.size() - before);
}

template <class Base>
void TlsConnection<Base>::owe(std::string_view ciphertext) {
  if (ciphertext.empty()) return;
  sealing([&] { sealed_ += ciphertext; });
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
  this->runtime_.stats.bytes_unsent.sub(gone);
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
    if (!records_) return done;
    if (records_->owes_update()) {
      this->runtime_.stats.tls_key_updates.add();
      sealing([&] { records_->answer_update(sealed_); });
      continue;
    }
    if (output.empty()) return done;
    if (done.bytes >= budget) {
      done.outcome = Outcome::more;
      return done;
    }
    std::string plain;
    output.take(plain, kSealed);
    done.bytes += plain.size();
    sealing([&] { records_->seal(plain, sealed_); });
    count_rekeyed();
  }
}

template <class Base>
void TlsConnection<Base>::shut_down_writing() {
  if (records_) {
    sealing([&] { records_->seal_close_notify(sealed_); });
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
  record.tls->counted = !uncounted_;
  return record;
}

template <class Base>
std::unique_ptr<TlsConnection<Base>> TlsConnection<Base>::restore(Home& home, UniqueFd fd,
                                                                  handover::TlsRecord&& record) {
  auto connection = std::make_unique<TlsConnection>(home, std::move(fd));
  connection->records_.emplace(std::move(record.records), tls_detail::most_records(home));
  connection->sealed_ = std::move(record.sealed);
  connection->unread_ = std::move(record.unread);
  connection->uncounted_ = !record.counted;
  return connection;
}

template <class Base>
void TlsConnection<Base>::resume() {
  if (std::exchange(uncounted_, false)) this->runtime_.stats.bytes_unsent.add(sealed_.size());
  Base::resume();
  if (!unread_.empty() || records_->owes_update()) this->flush_soon();
}

}  // namespace holdfast
