// worker/clients/passage.h - clients that come back at another worker than the one that has their session: given to it, with the
// descriptor and a record, by one socket a slot.
//
//   here       a request with ?resume= of a session that is not here; the channel filter, or the session's id, names another slot
//              -> waits until this turn's events are over, stops reading, goes as one datagram to that slot
//   there      a client in phase `handshake` whose request is whole: admitted, judged and answered as if it had been accepted there;
//              if its session is not there either, it goes to the next slot that the filter names, to each at most once, and the last
//              makes a new session
//
// The sockets are the master's (master/doorbells.h) and outlive workers: what lies in one whose worker has died or handed over is
// taken by the slot's next process.
//
// Bounds: kMaxWaiting clients wait for a full socket, no longer than handshake_timeout; kMaxBytes a record. Beyond them 503 with
// Retry-After, counted (resume.not_passed_on).
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/event.h"
#include "base/fd.h"
#include "worker/net/heritage.h"
#include "worker/net/runtime.h"
#include "worker/sessions/resume.h"

namespace holdfast {

class ClientHomes;
class ConnectionTable;
class Upgrade;

class Passage {
 public:
  static constexpr size_t kMaxWaiting = 1024;
  static constexpr size_t kMaxBytes = 128 * 1024;

  Passage(Runtime& runtime, const Heritage& heritage, ClientHomes& homes,
          ConnectionTable& connections);
  // The slot is ours: takes what is given to it.
  void begin();

  // The slot that may have the session, and is none of `asked`; empty: nobody has.
  std::optional<uint16_t> owner_of(const ResumeWish& wish,
                                   const std::vector<uint16_t>& asked) const;
  // It goes to `slot` between two turns. False: too many wait.
  bool wait(Upgrade& upgrade, uint16_t slot);
  void forget(const Upgrade& upgrade);
  // Gives a share of those that wait. True: there are more, and room for them. No callback is on the stack.
  bool run();

 private:
  struct Waiting {
    Upgrade* upgrade;
    uint16_t slot;
  };
  enum class Given : uint8_t { given, full, failed };

  Given give(Upgrade& upgrade, uint16_t slot);
  void await_room(uint16_t slot);
  void on_room(short);
  void on_given(short);
  bool take_one();
  void take(std::string_view bytes, UniqueFd fd);

  Runtime& runtime_;
  const Heritage& heritage_;
  ClientHomes& homes_;
  ConnectionTable& connections_;
  std::vector<Waiting> waiting_;
  std::vector<std::unique_ptr<IoEvent>> room_;  // by slot, of those whose socket was full
  std::unique_ptr<IoEvent> given_;
};

}  // namespace holdfast
