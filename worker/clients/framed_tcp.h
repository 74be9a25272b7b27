// worker/clients/framed_tcp.h - a client on plain TCP: messages by a length field or a delimiter, nothing else. It has no request, no
// close frame and no ping; it says goodbye by the end of its stream, and what it has said before is answered (phase half_closed).
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wire/tcp/framer.h"
#include "worker/clients/client.h"

namespace holdfast {

class FramedTcp : public Client, private tcp::MessageSink {
 public:
  FramedTcp(const ClientHome& home, UniqueFd fd) : Client(home, std::move(fd), Phase::connecting) {}

  [[nodiscard]] bool speak(std::string_view) override { return false; }
  std::string_view subprotocol() const override { return {}; }
  std::vector<std::string> offered() const override { return {}; }
  void all_answered() override;

 protected:
  void proceed(std::string_view early) override;
  void on_end_of_input() override;

 private:
  bool has_request() const override { return false; }
  std::string_view transport_name() const override { return "tcp"; }
  std::unique_ptr<Entrance> make_entrance(const shm::SessionOrigin& origin) override;
  const BufferRef& framed(Payload& message) override { return message.framed(home().listen); }
  bool is_message(const BufferRef&) const override { return true; }
  bool say_goodbye(uint16_t, std::string_view) override { return false; }
  size_t feed(std::span<char> bytes) override;
  std::unique_ptr<KeptInput> make_kept() const override;
  void save_wire(handover::ClientRecord& record) const override;
  bool restore_wire(handover::ClientRecord& record) override;

  bool on_message(std::string_view message) override;
  bool wants_more() override { return goes_on(); }

  tcp::Framer make_framer() const;
  size_t feed(tcp::Framer& framer, std::span<char> bytes);
};

}  // namespace holdfast
