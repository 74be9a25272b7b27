// worker/api_connection.h - the connection of one pusher: HTTP requests in, answers out, one at a time and in order.
//
//   phase      event                          -> phase      action
//   reading    request complete                  answering  api::handle(); reading pauses
//   answering  reply                             reading    queued; next request of what was read already
//   answering  reply, `Connection: close`        lingering
//   reading    unreadable request                lingering  400, 413, 431 ...
//   reading    idle or header deadline, EOF      (gone)
//   answering  EOF or error                      (gone)     the reply is thrown away; what was carried out stays so
//   lingering  all sent                          lingering  shutdown(SHUT_WR), then EOF or deadline: gone
//   reading, lingering   EOF, answers queued     lingering  they are sent, then gone
//
// Requests that came in one piece (pipelining) are answered kTurnRequests a turn.
#pragma once

#include <cstdint>
#include <string>
#include <unordered_map>

#include "worker/api/http_api.h"
#include "worker/connection.h"
#include "worker/http/request.h"

namespace holdfast {

class ApiConnection;

// What the API connections of one listener share; finds a connection again when its reply comes later.
struct ApiHome {
  Runtime& runtime;
  ConnectionTable& table;
  api::ApiContext context;
  std::unordered_map<uint64_t, ApiConnection*> waiting;  // by number, while a reply is owed
  uint64_t next_number = 1;
};

class ApiConnection final : public Connection {
 public:
  ApiConnection(ApiHome& home, UniqueFd fd);
  ~ApiConnection() override;
  void start();
  void wind_up(WindUp what) override;

 private:
  enum class Phase : uint8_t { reading, answering, lingering };
  static constexpr uint64_t kIdleMs = 75'000;
  static constexpr uint64_t kRequestMs = 30'000;  // from a request's first byte to its last
  static constexpr uint64_t kSendMs = 30'000;     // for the last answer to be taken
  static constexpr uint64_t kLingerMs = 2'000;    // then for the other side to end
  static constexpr unsigned kTurnRequests = 32;

  void on_bytes(std::span<char> bytes) override;
  void on_end() override;
  void on_end_of_input() override;
  void on_drained() override;
  void on_deadline() override;
  void work();  // on what has been read
  void handle_request();
  void on_reply(std::string&& response);
  void linger();

  ApiHome& home_;
  http::RequestReader reader_;
  std::string pending_;  // read, not yet used; bounded: reading pauses while a request is answered
  uint64_t number_;
  Phase phase_ = Phase::reading;
  bool working_ = false;
  bool close_after_ = false;
  bool continued_ = false;  // "100 Continue" was sent for the request under way
  bool shut_ = false;
};

}  // namespace holdfast
