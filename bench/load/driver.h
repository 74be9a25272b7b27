// bench/load/driver.h - one measurement from beginning to end.
//
//   fork client processes -> they connect -> (usage) -> load for the duration -> drain -> (usage)
//   -> they close
//
// The driver publishes (fanouts, unicast) and measures the server; the client processes hold the
// connections. They die with the driver (PR_SET_PDEATHSIG), and a client process that dies early
// ends the measurement.
#pragma once

#include <optional>

#include "bench/load/accounting.h"
#include "bench/load/handover.h"
#include "bench/load/histogram.h"
#include "bench/load/options.h"
#include "bench/load/publisher.h"

namespace holdfast::bench {

// Sums over the client processes.
struct Totals {
  uint64_t connected = 0, connect_failed = 0, refused = 0, timed_out = 0, closed_early = 0,
           broken = 0;
  uint64_t refusal_status = 0;  // the highest of the processes' last ones
  uint64_t sent = 0, received = 0, received_bytes = 0, last_arrival_ns = 0;
  uint64_t missing = 0, duplicates = 0, reordered = 0, misdirected = 0, malformed = 0;
  uint64_t resumed = 0;
};

struct Measured {
  Totals totals;
  LatencyHistogram latency, handshake;
  Published published;
  double connect_s = 0;  // until the last connection was open or had failed
  double load_s = 0;     // from the first message to the last arrival; idle: how long it was held
  std::optional<Usage> before;     // without our connections
  std::optional<Usage> connected;  // before the load
  std::optional<Usage> loaded;     // after it
  std::optional<HandoverMeasured> handover;
  std::string trouble;  // what made the driver stop early; "" = nothing

  // Everything asked for happened, nothing was lost, doubled or out of order.
  bool good(const Options& options) const;
  // Deliveries that the server says it made and that did not arrive (fanouts, unicast).
  uint64_t undelivered() const;
};

// An error is one of the measurement itself; of what it measured `Measured` tells.
Result<Measured> measure(const Options& options);

}  // namespace holdfast::bench
