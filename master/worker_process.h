// master/worker_process.h - one living child and the control channel to it (worker/worker.h).
//
// The master's end is the only one outside the worker: when the master dies the worker sees end of
// file. That holds because every child closes the ends it inherited (spawn.cc).
#pragma once

#include <sys/types.h>

#include <cstdint>

#include "base/event.h"
#include "base/fd.h"

namespace holdfast::master {

class WorkerProcess;

// The words of a worker. The observer may not destroy the process within the call.
class WorkerListener {
 public:
  virtual void on_worker_ready(WorkerProcess& process) = 0;
  virtual void on_worker_taken(WorkerProcess& process) = 0;
  virtual void on_worker_kept(WorkerProcess& process) = 0;

 protected:
  ~WorkerListener() = default;
};

class WorkerProcess {
 public:
  WorkerProcess(Loop& loop, uint16_t slot, pid_t pid, UniqueFd control, WorkerListener& listener);

  uint16_t slot() const { return slot_; }
  pid_t pid() const { return pid_; }
  int control() const { return control_.get(); }
  // One word of control_word. A worker that is gone already is not an error: its death is on the
  // way to us.
  void tell(char word);
  // One word and a copy of a descriptor with it (SCM_RIGHTS). False: it has got neither, and the
  // log says why.
  bool tell(char word, int fd);
  void kill(int signal);
  // In another worker: closes the inherited end.
  void close_in_child() { control_.reset(); }

 private:
  void on_readable(short);
  void on_word(char word);
  void complain(char word) const;

  uint16_t slot_;
  pid_t pid_;
  WorkerListener& listener_;
  UniqueFd control_;  // before the event that watches it
  IoEvent readable_;
};

}  // namespace holdfast::master
