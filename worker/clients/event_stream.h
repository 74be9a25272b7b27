// worker/clients/event_stream.h - a client of server-sent events: asks by an ordinary request (stream_request.h), is answered 200 and
// gets events until one of the two ends the connection. It says nothing after its request.
//
// The request is read by a WebSocket, for nobody knows before which of the two it asks for. When it is whole and good, this takes the
// connection over as a successor's process would, by the record (WebSocket::become_stream()); so it is `connecting` from the first.
//
//   the client's side           means
//   end of its stream           it is gone: there is no other goodbye (client closed)
//   line ends                   nothing
//   any other byte              a second request on a connection whose answer has no end: the session ends (1002)
//   what it is sent stays       for idle_timeout: it is gone. The kernel's time, and ours for what the kernel does not take; silence is
//   unread                      not counted, for it owes no sign of life
//
// Positions (base/position.h), for channels with a stream. Messages have theirs as id, and with it the client comes back to what it has
// missed. Of one channel the id is the same for all, and a part of the one buffer; a client of several has its own, which has a place for
// each (wire/sse/positions.h), and stands in a buffer before the message.
//
// Comments keep the way awake: one each ping_interval in which nothing was sent. A session's end is told (holdfast.closed) if its code is
// one that an application chose or that asks for something else than to come back; else the client sees an end, and comes back after the
// `retry` that it was told at the beginning: another time for each, so that a crowd does not come back at one instant.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wire/sse/positions.h"
#include "worker/clients/client.h"

namespace holdfast {

// Until the stream begins: what its answer needs.
class StreamEntrance final : public Entrance {
 public:
  using Entrance::Entrance;
  const std::string& cors() const { return cors_; }  // the origin of the page that asked, or ""
  // What the request says that it has seen; the channels for which that has been asked.
  const std::string& since() const { return since_; }
  // True: it has not been asked for before.
  bool follows(const std::string& channel);
  void save(handover::ClientRecord& record) const override;
  void restore(handover::ClientRecord& record) override;

 private:
  std::string cors_, since_;
  std::vector<std::string> followed_;
};

class EventStream : public Client {
 public:
  static constexpr std::string_view kTransport = "sse";

  EventStream(const ClientHome& home, UniqueFd fd)
      : Client(home, std::move(fd), Phase::connecting) {
    hears_written_ = true;
  }
  // With the connection of a request that was judged; what `request` is made of outlives the call.
  void begin(const http::Request& request, const token::Claims* claims);

  [[nodiscard]] bool speak(std::string_view) override { return false; }
  std::string_view subprotocol() const override { return {}; }
  std::vector<std::string> offered() const override { return {}; }
  void all_answered() override {}  // is never half closed
  void accept(std::string_view extra_headers) override;
  void caught_up(const CaughtUp& told) override;
  void kept_out(std::string_view channel, std::string_view reason) override;

 protected:
  void proceed(std::string_view) override {}  // it begins after that
  void on_end_of_input() override;

 private:
  bool has_request() const override { return true; }
  std::string answer_lines() const override;
  std::string_view transport_name() const override { return kTransport; }
  std::unique_ptr<Entrance> make_entrance(const shm::SessionOrigin& origin) override;
  void begun() override;
  void greet(std::string_view extra_headers) override;
  const BufferRef& framed(Payload& message) override;
  void before_message(const Payload& message, const BufferRef& bytes, Urgency urgency) override;
  bool is_message(const BufferRef& queued) const override;
  bool say_goodbye(uint16_t code, std::string_view text) override;
  uint64_t ping_interval_ms() const override { return home().listen.ping_interval_ms; }
  void ping() override;
  bool owes_a_sign() const override { return !output_empty(); }
  void on_written() override;
  size_t feed(std::span<char> bytes) override;
  std::unique_ptr<KeptInput> make_kept() const override;
  void save_wire(handover::ClientRecord& record) const override;
  bool restore_wire(handover::ClientRecord& record) override;

  StreamEntrance& entrance() const { return static_cast<StreamEntrance&>(*entrance_); }
  // Asks for what it has missed in the channels that it has joined.
  void follow();
  bool follows_several() const;
  void begin_positions();
  // The id that it has with this.
  std::string note(std::string_view channel, const Position& at);

  std::unique_ptr<sse::Positions> positions_;  // null: it follows at most one channel with a stream
  bool named_ = false;                         // events bear the names of channels
};

}  // namespace holdfast
