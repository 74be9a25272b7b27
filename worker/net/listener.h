// worker/net/listener.h - accepts connections of one listening socket, a bounded number a turn.
//
// Out of descriptors (EMFILE, ENFILE): the reserve descriptor is given up for one accept(2), that connection is
// closed so that its client learns it at once, the reserve is taken back, and accepting pauses for kPauseMs.
#pragma once

#include <functional>

#include "base/event.h"
#include "base/fd.h"
#include "shm/session_directory.h"
#include "worker/net/runtime.h"

namespace holdfast {

class Listener {
 public:
  using OnAccept = std::function<void(UniqueFd, const shm::SessionOrigin&)>;

  // `fd` is this worker's copy of a listening socket, non-blocking; closed by stop().
  Listener(Runtime& runtime, UniqueFd fd, uint16_t index, OnAccept on_accept);
  void start() { event_.watch(kRead); }
  // Takes no more; connections in the queue are another process's, or are taken first with `empty_queue`.
  void stop(bool empty_queue);
  void tick();  // ends a pause

 private:
  static constexpr unsigned kTurnAccepts = 64;
  static constexpr unsigned kLastAccepts = 65'536;  // as much as a backlog may be
  static constexpr uint64_t kPauseMs = 500;
  void on_ready(short);
  bool accept_one();  // false: nothing waits, or accepting has to pause
  void out_of_files();

  Runtime& runtime_;
  UniqueFd fd_;
  uint16_t index_;
  OnAccept on_accept_;
  IoEvent event_;
  UniqueFd reserve_;
  uint64_t paused_until_ms_ = 0;
  LogGate gate_;
};

}  // namespace holdfast
