// bench/load/arena.h - memory that the driver and its client processes share.
//
// Made by the driver before it forks. Who writes
//   phase             driver
//   published         driver (fanouts, unicast); the client process of the connection (echo)
//   process blocks    the client process, each its own; histograms are read once `reached` says
//   close sessions          the client process that holds the connection, before it reaches connect
// Words have one writer, so relaxed cells do; `phase` and `reached` order what stands around them.
#pragma once

#include <atomic>
#include <cstdint>
#include <optional>
#include <string_view>

#include "base/result.h"
#include "bench/load/handover_board.h"
#include "bench/load/histogram.h"
#include "bench/load/options.h"
#include "shm/stats.h"

namespace holdfast::bench {

using shm::Cell;

// What the driver wants, in this order; a process that has done it says so in `reached`.
enum class Phase : uint32_t { connect = 1, load = 2, drain = 3, close = 4 };

inline constexpr size_t kSessionDigits = 32;

// What one client process has seen. Writer: that process.
struct alignas(64) ProcessBlock {
  std::atomic<uint32_t>
      reached;  // the last Phase it has finished; drain: has begun, and nothing is sent any more
  Cell connected;
  Cell connect_failed;  // no TCP connection
  Cell refused;         // another answer than a 101, or none before the end of the stream
  Cell timed_out;       // no answer in time
  Cell refusal_status;  // of the last one; 0 = no answer
  Cell closed_early;    // open, then ended by the server
  Cell broken;          // the server broke the protocol
  Cell sent;            // echo
  Cell received;
  Cell received_bytes;  // payloads
  Cell last_arrival_ns;
  Cell missing;  // known at close
  Cell duplicates;
  Cell reordered;
  Cell misdirected;  // for another addressee
  Cell malformed;    // no message of ours
  Cell resumed;      // came back to its session
  LatencyHistogram latency;
  LatencyHistogram handshake;
};

class Arena {
 public:
  static Result<Arena> make(const Options& options);

  std::atomic<uint32_t>& phase() const { return *phase_; }
  ProcessBlock& process(uint32_t index) const { return processes_[index]; }
  // Sequences sent to an addressee: 1 to this.
  Cell& published(uint32_t addressee) const { return published_[addressee]; }
  // "" while connection `index` has none.
  std::string_view session(uint32_t index) const;
  void set_session(uint32_t index, std::string_view id) const;
  // Of a handover only. Connection `index` is member index / channels where channels divides it.
  const SilenceBoard* silences() const { return silences_ ? &*silences_ : nullptr; }

 private:
  Arena() = default;
  std::atomic<uint32_t>* phase_ = nullptr;
  ProcessBlock* processes_ = nullptr;
  Cell* published_ = nullptr;
  char* sessions_ = nullptr;
  std::optional<SilenceBoard> silences_;
};

}  // namespace holdfast::bench
