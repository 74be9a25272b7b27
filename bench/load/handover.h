// bench/load/handover.h - reloads in the steady state of a fanout: how long a client hears nothing meanwhile.
//
// A thread of the driver beside its publisher:
//
//   settle -> (window: baseline -> window: reload, from the request to a second after its answer) x reloads -> over
//
// The members of the first channel are who listens; every other connection is only held. What a reload costs is told
// by the clients (handover_board.h), by the control socket and, where its file is named, by the server's log.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "bench/load/handover_board.h"

namespace holdfast::ctl {
class Json;
}

namespace holdfast::bench {

struct HandoverOptions {
  uint32_t reloads = 3;
  uint32_t members = 1000;     // connections that are sent to; each channel has so many
  std::string control;         // RUNTIME_DIR/control.sock
  std::string log;             // of the server, "" = not looked at
  uint32_t window_ms = 2'000;  // of the baseline
  uint32_t settle_ms = 1'000;  // after a reload

  uint32_t windows() const { return 2 * reloads; }
};

// Longest silences of the members in one window.
struct Silences {
  double max_ms = 0, median_ms = 0;
  uint32_t deaf = 0;  // members that heard nothing at all
};

struct ReloadTaken {
  bool ok = false;
  std::string text;  // the master's answer, or why there is none
  double total_ms = 0;
  Silences baseline, reload;
};

// What the server's processes say of handing over: sums over slots and reloads.
struct HandedOver {
  unsigned slots = 0;
  uint64_t connections = 0;
  uint64_t ms = 0;  // in which the slots stood still

  double per_second() const { return ms > 0 ? double(connections) * 1e3 / double(ms) : 0; }
};
// Of one line of a log; false: it is about something else.
bool add_handed_over(std::string_view line, HandedOver* sum);

struct HandoverMeasured {
  std::vector<ReloadTaken> reloads;
  HandedOver handed_over;
  bool good() const;
};

// Begins with its construction. Borrows all it is given.
class ReloadRun {
 public:
  ReloadRun(const HandoverOptions& options, const SilenceBoard& board);
  ReloadRun(const ReloadRun&) = delete;
  ReloadRun& operator=(const ReloadRun&) = delete;
  ~ReloadRun();
  // When all reloads have been made.
  HandoverMeasured finish();

 private:
  void run();
  ReloadTaken reload_once(uint32_t number);

  const HandoverOptions& options_;
  const SilenceBoard& board_;
  off_t log_begin_;
  std::vector<ReloadTaken> taken_;
  std::thread thread_;
};

using ReportLines = std::vector<std::pair<std::string, std::string>>;
void add_handover(ReportLines& lines, const HandoverMeasured& measured);
void write_handover(ctl::Json& json, const HandoverMeasured& measured);

}  // namespace holdfast::bench
