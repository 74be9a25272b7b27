// worker/life/parting.h - a worker on its way out: its clients are sent away a share at a time, and it ends when they are gone.
//
//   plan      close sessions evenly until `until_ms`, with this code and reason; then tell every connection to finish
//   done      no connection and no session is left, or the longest patience has passed: it always ends
//
// Invariants
//   I1  A later plan may hurry one that is under way, never slow it down: a stop does not become a drain when the master dies.
//   I2  At most kSlice sessions are closed, and at most kSlice connections told to finish, in one turn.
//   I3  Messages that are being handed out reach their members first (they were accepted), for kHandOutMs at most.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>

#include "worker/net/connection.h"
#include "worker/net/runtime.h"
#include "worker/routing/push_router.h"
#include "worker/sessions/table.h"

namespace holdfast {

class Parting {
 public:
  struct Plan {
    uint64_t until_ms;  // sessions are closed evenly until then
    uint16_t code;      // WebSocket close code
    EndReason reason;
    bool wait_for_close_events;
  };

  Parting(Runtime& runtime, Sessions& sessions, PushRouter& router, ConnectionTable& connections)
      : runtime_(runtime), sessions_(sessions), router_(router), connections_(connections) {}

  bool under_way() const { return plan_.has_value(); }
  // False: a stop is under way, and this is none.  // I1
  bool begin(Plan plan);
  // The sessions that are there now are spread over the time that is left.
  void spread();
  // Connections are told to finish, from the next turn on.
  void begin_wind_up(WindUp what);
  // A turn's share. True: there is more to do at once.
  bool go();
  // Every tick, while under way. True: this process may end.
  bool tick();

 private:
  static constexpr size_t kSlice = 512;
  static constexpr uint64_t kHandOutMs = 1'000;  // I3
  static constexpr uint64_t kFarewellMs =
      7'000;  // after the last close frame, for the clients' answers

  bool close_a_share();
  bool wind_up_some();
  bool is_done() const;

  Runtime& runtime_;
  Sessions& sessions_;
  PushRouter& router_;
  ConnectionTable& connections_;
  std::optional<Plan> plan_;
  uint64_t from_ms_ = 0;
  size_t sessions_then_ = 0;  // how many there were when it began
  size_t next_ = 0;           // where close_a_share() continues
  bool share_due_ = true;
  WindUp wind_up_ = WindUp::unopened;
  // Of a round over the connections that are told to finish; none under way: at >= end.
  size_t wind_up_at_ = 0, wind_up_end_ = 0;
};

}  // namespace holdfast
