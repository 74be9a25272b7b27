// worker/net/tls_connection.h - a connection whose bytes go through TLS: a client's, or a pusher's.
//
//   of the stream                          does
//   PROXY header                           Client's; it comes before TLS
//   hand-shake                             Accepting, which is gone when it is done; one of HalfOpen, and its steps in turn
//   records, while it is read on           opened one by one, each for Base::on_bytes()
//   records, while it does not             kept: at most one read
//   close_notify                           end of input
//   end without it                         the connection is lost: anybody may have cut it
//   a record that cannot be opened         an alert, and the connection is lost
//   a KeyUpdate that wants an answer       one, when all that was sealed before has gone
//
// Invariants
//   I1  Sealed bytes are sent: no more are taken from the queue before they have gone. At most kSealed of them, and an alert; they
//       are a part of bytes.unsent.
//   I2  Idle: no memory beyond the object.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "worker/net/connection.h"
#include "worker/net/half_open.h"
#include "worker/net/tls/accepting.h"
#include "worker/net/tls/record.h"
#include "worker/net/tls/records.h"

namespace holdfast {

// Base: a Connection with a home, as Client and ApiConnection are. Its members are in tls_connection_impl.h.
template <class Base>
class TlsConnection final : public Base {
 public:
  using Home = typename Base::Home;
  using Record = typename Base::Record;

  TlsConnection(Home& home, UniqueFd fd);
  ~TlsConnection() override;

  Record save() const override;
  bool can_move() const override { return records_.has_value(); }
  void resume() override;
  static std::unique_ptr<TlsConnection> restore(Home& home, UniqueFd fd,
                                                handover::TlsRecord&& record);

 private:
  static constexpr size_t kSealed = 64 * 1024;

  void proceed(std::string_view early) override;
  void on_read(std::span<char> bytes) override;
  void on_end_of_stream() override;
  OutputQueue::Written transmit(OutputQueue& output, size_t budget) override;
  size_t held_output() const override { return sealed_.size(); }
  void on_reading_again() override;
  bool before_flush() override;
  void shut_down_writing() override;

  void on_retire() override;

  // Of a hand-shake.
  void take_in(std::string_view bytes);
  void refuse_plain(std::string_view told);
  // One step, its turn having come.
  void shake_hands();
  void shaken();
  void open(std::span<char> bytes);
  void owe(std::string_view ciphertext);
  // Every addition to sealed_.
  template <class Seal>
  void sealing(Seal&& seal);
  // Of sealed_; false: it failed.
  bool send_sealed(OutputQueue::Written* done);

  struct Handshake final : HalfOpen::Entry {
    explicit Handshake(TlsConnection& owner) : connection(owner), accepting(*owner.home().tls) {}
    void go_on() override;
    void shed() override { connection.retire(); }
    TlsConnection& connection;
    tls::Accepting accepting;
    bool begun = false;  // something has come
  };

  HalfOpen& half_open() { return this->home().table.half_open(); }
  void count_rekeyed();

  std::unique_ptr<Handshake> handshake_;  // before records_
  std::optional<tls::Records> records_;
  std::string sealed_;      // ciphertext that has not gone
  std::string unread_;      // ciphertext that came while nothing was read
  bool uncounted_ = false;  // restored: a predecessor did not count the sealed bytes
};

}  // namespace holdfast
