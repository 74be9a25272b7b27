// tests/unit/sessions/fake_transport.h - a transport without a wire, for tests of what speaks to one: writes down what it is told, and
// does with its session what every transport does.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "worker/sessions/table.h"
#include "worker/sessions/transport.h"

namespace holdfast::test {

class FakeTransport final : public Transport {
 public:
  struct Closed {
    uint16_t code;
    std::string text;
    EndReason reason;
    bool operator==(const Closed&) const = default;
  };
  struct Refused {
    int status;
    std::string body;
    EndReason reason;
    bool operator==(const Refused&) const = default;
  };

  FakeTransport(Runtime& runtime, ConnectionTable& table, Sessions& sessions)
      : Transport(runtime, table, UniqueFd()), sessions_(sessions) {}

  void accept(std::string_view extra_headers) override {
    accepted.emplace_back(extra_headers);
    sessions_.opened(*session);
  }
  using Transport::refuse;
  void refuse(int status, std::string_view body, EndReason reason) override {
    refusals.push_back({status, std::string(body), reason});
    end(reason, 0);
  }
  bool speak(std::string_view) override { return false; }
  std::string_view subprotocol() const override { return {}; }
  std::vector<std::string> offered() const override { return {}; }
  bool deliver(Payload& message, Urgency) override {
    if (takes) delivered.emplace_back(message.data());
    return takes;
  }
  using Transport::close;
  void close(uint16_t code, std::string_view text, EndReason reason) override {
    closes.push_back({code, std::string(text), reason});
    end(reason, code);
  }
  void give_way() override {
    gave_way = true;
    session = nullptr;
  }
  void pause_reading(bool pause) override { paused = pause; }
  void all_answered() override {}
  bool half_closed() const override { return false; }

  // Connection: it has no descriptor, and no table owns it.
  void wind_up(WindUp) override {}
  void resume() override {}
  ConnectionKind kind() const override { return ConnectionKind::client; }
  std::string record() const override { return {}; }
  void shed() override {}

  Session* session = nullptr;  // the test's to set
  bool takes = true;           // messages
  bool paused = false;
  bool gave_way = false;
  std::vector<std::string> accepted, delivered;
  std::vector<Refused> refusals;
  std::vector<Closed> closes;

 private:
  void on_bytes(std::span<char>) override {}
  void on_end() override {}
  void on_deadline() override {}
  void end(EndReason reason, uint16_t code) {
    sessions_.end(*std::exchange(session, nullptr), reason, code);
  }

  Sessions& sessions_;
};

}  // namespace holdfast::test
