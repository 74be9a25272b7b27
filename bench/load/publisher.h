// bench/load/publisher.h - the pushing side of fanout, resp-fanout and unicast: numbered messages
// to each addressee in turn.
//
// Every addressee belongs to one API connection, because only requests of one connection have an
// order that the server promises to keep.
#pragma once

#include <vector>

#include "bench/load/api_client.h"
#include "bench/load/arena.h"
#include "bench/load/histogram.h"
#include "bench/load/options.h"
#include "bench/load/pacer.h"

namespace holdfast::bench {

struct Published {
  uint64_t requests = 0;
  uint64_t answers = 0;
  uint64_t failures = 0;     // an error, or an answer that leaves something out
  uint64_t delivered = 0;    // as the server says
  uint64_t elapsed_ns = 0;   // of the load, waiting for the last answers left out
  std::string last_trouble;  // "" without failures
  LatencyHistogram answer_time;
};

class Publisher {
 public:
  static Result<Publisher> open(const Options& options, const Arena& arena);
  // For options.duration_s, a handover until its reloads are over; then waits for what is outstanding. Errc::limit: not all answers came.
  Result<void> run();
  const Published& published() const { return published_; }

 private:
  struct Line {
    ApiClient client;
    std::vector<uint32_t> addressees;
    size_t next = 0;
  };
  Publisher(const Options& options, const Arena& arena) : options_(options), arena_(arena) {}
  void spread();
  void fill(uint64_t now_ns);
  void push_next(Line& line, uint64_t due_ns, uint64_t now_ns);
  Result<void> turn(uint64_t until_ns);
  Result<void> collect(Line& line);
  size_t outstanding() const;

  const Options& options_;
  const Arena& arena_;
  std::vector<Line> lines_;
  size_t next_line_ = 0;
  Pacer pacer_;
  std::string payload_;
  Published published_;
};

}  // namespace holdfast::bench
