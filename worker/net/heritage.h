// worker/net/heritage.h - what a worker is given at birth.
#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "conf/config.h"
#include "shm/segment.h"

namespace holdfast {

// A listening socket a worker accepts from. The worker does not own it (the master keeps every one
// open until a stop begins); it closes its copy when it stops accepting.
struct InheritedListener {
  int fd;
  size_t index;  // in Config::listens, or in Config::apis where is_api
  bool is_api;
};

struct Heritage {
  const conf::Config* config;  // apis include the built-in one for holdfastctl
  shm::Segment* segment;
  uint16_t slot;
  unsigned worker_count;  // of this generation: shares of pools and queues
  uint32_t generation;
  std::vector<InheritedListener> listeners;
  std::vector<int> doorbell_write;  // by slot, max_workers of them
  int doorbell_read;                // this slot's
  int control;                      // this worker's end
  // It takes the slot over from a living process (kTakeOver), and writes nothing into the segment before it has it.
  bool standby = false;
  // False: it only serves and finishes what is there already, and ends with its last session and connection.
  bool accepts = true;
  // This worker's end of the socket to its resolver (worker/backends/resolver.h); -1: no back end has a name.
  int resolver = -1;
  // Sockets by which workers give each other connections (worker/clients/passage.h): by slot the end to give to it, and this
  // slot's end to take from. Empty and -1: no listener has `resume`.
  std::vector<int> passages = {};
  int passage = -1;
};

}  // namespace holdfast
