// master/doorbells.h - one pipe per slot, made before any fork, so that every worker that will ever
// be can wake every other one (shm/mailbox.h). They stay for the master's life: a byte written to a
// slot without a process is read by the slot's next one.
//
// Likewise one passage per slot, a socket by which workers give that slot connections (worker/clients/passage.h), made before the
// first worker whose configuration has `resume`: those before it have nothing to give.
#pragma once

#include <vector>

#include "base/fd.h"
#include "base/result.h"
#include "master/master_record.h"

namespace holdfast::master {

class Doorbells {
 public:
  // Both ends non-blocking.
  static Result<Doorbells> make(unsigned slots);
  static Doorbells restore(const std::vector<DoorbellRecord>& records);
  std::vector<DoorbellRecord> save() const;

  std::vector<int> write_ends() const;
  int read_end(unsigned slot) const { return pipes_[slot].read.get(); }
  // Makes the passages that are missing.
  Result<void> open_passages();
  // By slot, the end to give to it; empty: there are none.
  std::vector<int> passages() const;
  int passage(unsigned slot) const { return pipes_[slot].take.get(); }  // -1: none
  // In a worker: only its own can be read.
  void close_others(unsigned slot);

 private:
  struct Pipe {
    UniqueFd read, write;
    UniqueFd take, give;  // of the passage
  };
  std::vector<Pipe> pipes_;
};

}  // namespace holdfast::master
