// worker/clients/websocket.h - a client on a WebSocket (RFC 6455): asks by a request (upgrade.h), is answered 101, speaks frames, pings
// and is pinged, and says goodbye by a close frame.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wire/ws/decoder.h"
#include "wire/ws/deflate.h"
#include "worker/clients/client.h"
#include "worker/clients/upgrade.h"

namespace holdfast::stream {
struct Wishes;
}

namespace holdfast {

class WebSocket : public Client, private ws::FrameSink {
 public:
  WebSocket(const ClientHome& home, UniqueFd fd) : Client(home, std::move(fd), Phase::handshake) {}
  ~WebSocket() override;

  [[nodiscard]] bool speak(std::string_view subprotocol) override;
  std::string_view subprotocol() const override;
  std::vector<std::string> offered() const override;
  void all_answered() override {}  // is never half closed
  void resume() override;
  bool has_whole_request() const override {
    return entrance_ && in_request() && upgrade().is_whole();
  }
  // Given by another worker; `asked`: the slots that have not had its session.
  void arrive(std::vector<uint16_t> asked);
  // Whether, and how, it takes deflated messages.
  ws::DeflateTerms deflate() const { return deflate_; }

 protected:
  void proceed(std::string_view early) override;
  void answer_later() override;

 private:
  friend class Upgrade;

  bool has_request() const override { return true; }
  std::string answer_lines() const override;
  std::string_view transport_name() const override { return "websocket"; }
  std::unique_ptr<Entrance> make_entrance(const shm::SessionOrigin& origin) override;
  void take_request(std::string_view bytes) override { upgrade().take(bytes); }
  void begun() override { upgrade().begun(*session_); }
  void greet(std::string_view extra_headers) override;
  const BufferRef& framed(Payload& message) override;
  bool is_message(const BufferRef& queued) const override;
  bool say_goodbye(uint16_t code, std::string_view text) override;
  uint64_t ping_interval_ms() const override { return home().listen.ping_interval_ms; }
  void ping() override;
  size_t feed(std::span<char> bytes) override;
  std::unique_ptr<KeptInput> make_kept() const override;
  void save_wire(handover::ClientRecord& record) const override;
  bool restore_wire(handover::ClientRecord& record) override;

  bool on_message(ws::Opcode opcode, std::string_view payload) override;
  bool on_ping(std::string_view payload) override;
  bool on_pong(std::string_view payload) override;
  void on_close(uint16_t code, std::string_view reason) override;
  void on_error(uint16_t close_code, std::string_view why) override;
  void on_inflated(ws::Inflated outcome, size_t from, size_t to) override;
  ws::Next next() override;

  // There while entrance_ is.
  Upgrade& upgrade() const { return static_cast<Upgrade&>(*entrance_); }
  bool in_request() const { return phase() == Phase::handshake; }
  void agree(ws::DeflateTerms terms) { deflate_ = terms; }
  // The request asks for a stream, and is good: another object goes on in the place of this one.
  void become_stream(const http::Request& request, const stream::Wishes& wishes,
                     const token::Claims* claims);
  ws::Decoder make_decoder() const;
  size_t window_bytes() const;
  size_t feed_and_keep(std::span<char> bytes);
  void send_frame(ws::Opcode opcode, std::string_view payload);

  ws::DeflateTerms deflate_;
};

}  // namespace holdfast
