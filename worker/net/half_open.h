// worker/net/half_open.h - the TLS hand-shakes under way of one worker: how many, what they hold, and whose turn it is.
//
// A hand-shake costs memory and, above all, work for a client that is not known yet. So their number and their bytes are bounded, of
// the worker (max_tls_handshakes, kBytesEach for each) and of one address (max_tls_handshakes_per_ip, likewise): beyond it the
// oldest ends, of the address or of all (tls.shed). And a turn of the loop does only so much of their work: a hand-shake that comes
// to a step when that or the turn is used up, or when others wait already, waits for a later turn, in order (tls.waited).
//
//   enter()       a hand-shake begins        its_turn()    may it take its step now? If not, go_on() comes later
//   leave()       it is over, either way     spend()       the cost of the step
//   holds()       its bytes have changed
//
// Addresses are as in shm/addresses.h: an IPv4 one, or the first 64 bits of an IPv6 one. Trusted proxies that do not name their
// client, and unix sockets, have none: one stranger could shut out all others behind a proxy.
//
// Invariants
//   I1  Waiting hand-shakes are worked off at the end of each turn, for kShare units, whatever else the turn has done: other
//       floods do not starve them. As much is done for those that come to a step while none waits.
//   I2  An entry is left by the worker's callbacks or its destructor, whichever is first.
#pragma once

#include <netinet/in.h>

#include <array>
#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>

#include "base/log.h"
#include "worker/net/flush_queue.h"

namespace holdfast {

struct Runtime;

class HalfOpen final : private Flushable {
 public:
  static constexpr size_t kBytesEach = 64 * 1024;
  // Units of a turn (turn_budget.h).
  static constexpr int64_t kShare = 2'048;
  static constexpr int64_t kLeastStep = 50;

  struct Group;
  class Entry {
   public:
    Entry() = default;
    Entry(const Entry&) = delete;
    Entry& operator=(const Entry&) = delete;
    virtual ~Entry();  // I2
    // Takes the step it waits for; may end it.
    virtual void go_on() = 0;
    // Ends it.
    virtual void shed() = 0;

   private:
    friend class HalfOpen;
    HalfOpen* in_ = nullptr;
    std::list<Entry*>::iterator by_age_, in_group_, in_line_;
    Group* group_ = nullptr;
    size_t bytes_ = 0;
    bool waits_ = false;
  };

  explicit HalfOpen(Runtime& runtime) : runtime_(runtime) {}
  ~HalfOpen() = default;

  void enter(Entry& entry, const std::optional<in6_addr>& address);
  void leave(Entry& entry);
  void holds(Entry& entry, size_t bytes);
  bool its_turn(Entry& entry);
  void spend(uint64_t microseconds);
  size_t size() const { return all_.size(); }
  size_t waiting() const { return line_.size(); }

  using Key = std::array<uint8_t, 16>;
  // The hand-shakes of one address.
  struct Group {
    std::list<Entry*> entries;  // oldest first
    size_t bytes = 0;
    Key key{};
  };

 private:
  void flush() override;
  void make_room(std::list<Entry*>& entries, const size_t& bytes, size_t most, const char* limit,
                 const Entry& but);
  void bound(Entry& newest);

  Runtime& runtime_;
  std::list<Entry*> all_;   // oldest first
  std::list<Entry*> line_;  // those that wait for a turn
  std::map<Key, Group> groups_;
  size_t bytes_ = 0;
  int64_t spent_ = 0;  // since the last turn's end
  LogGate gate_;
};

}  // namespace holdfast
