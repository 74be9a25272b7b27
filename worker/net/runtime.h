// worker/net/runtime.h - the things that every object of a worker may use: built once by worker_main(), passed by reference.
#pragma once

#include <cstdint>
#include <span>

#include "base/event.h"
#include "conf/config.h"
#include "shm/stats.h"
#include "wire/ws/deflate.h"
#include "worker/net/flush_queue.h"
#include "worker/net/timing_wheel.h"
#include "worker/net/turn_budget.h"

namespace holdfast {

class CatchUp;
class TraceSink;
namespace handover {
class Shelf;
}

struct Runtime {
  const conf::Config& config;
  uint16_t slot;
  Loop& loop;
  TimingWheel& wheel;
  FlushQueue& flush;
  shm::StatsBlock& stats;
  std::span<char> scratch;      // one read's worth; contents are valid during one callback only
  uint64_t now_ms = 0;          // monotonic, read once a turn
  bool draining = false;        // accepts no more connections; ends when the last session is gone
  bool stopping = false;        // draining, and hand-shakes under way are refused as well
  TraceSink* tracer = nullptr;  // told of events by trace() of sessions/trace.h
  CatchUp* catch_up = nullptr;  // channels/catch_up.h
  handover::Shelf* shelf = nullptr;  // of shared buffers, while a slot is handed over
  ws::Deflater deflater = {};        // no memory before a message needs them
  ws::Inflater inflater = {};
  TurnBudget budget = {};  // the work that this turn may still do
};

}  // namespace holdfast
