// tests/unit/master/running_master.h - a real master with fake workers, in a process and a
// directory of its own.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "shm/segment.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/master/fake_worker.h"
#include "tests/unit/master/forked.h"

namespace holdfast::test {

// By pid, in no order that means anything.
std::vector<pid_t> children_of(pid_t parent);

inline std::string listen_at(const std::string& address) {
  return "[[listen]]\naddress = \"" + address + "\"\nbackend = \"echo\"\n";
}

struct MasterOptions {
  unsigned workers = 2;
  // More lines of [server]; drain_timeout and stop_timeout are 1s unless they are there.
  std::string server = {};
  std::string listens = listen_at("127.0.0.1:0");
  std::string limits = {};  // more lines of [limits]
  bool await = true;        // until it serves
  std::string log = {};  // another file than `log` in the master's directory; then log() is empty
  bool fail_new_workers = false;  // from the start; then nothing is awaited
};

// What a fake worker says of itself.
struct Who {
  unsigned slot = 0, generation = 0, listeners = 0;
  pid_t pid = 0;
};

class RunningMaster {
 public:
  explicit RunningMaster(const MasterOptions& options = {});
  ~RunningMaster();

  void write_config(const MasterOptions& options);
  void write_config_text(const std::string& text) { dir_.write("holdfast.toml", text, 0644); }
  void start();
  // One more master with the same configuration.
  std::unique_ptr<Forked> another() const;
  bool serves(uint32_t generation);  // waits for it

  Forked& process() { return *process_; }
  std::string run_dir() const { return dir_ / "run"; }
  std::string file(const std::string& name) const { return dir_ / name; }
  // The n-th line of RUNTIME_DIR/listeners.
  std::string listed(size_t n) const;
  std::string log() const;
  bool log_says(const std::string& text);  // waits for it
  // One request to the control socket; its whole answer.
  std::string ask(const std::string& request) const;
  shm::SlotHead& slot(uint16_t i);
  void fail_new_workers(bool fail);
  // Who serves this slot keeps it when it is asked to hand it over.
  void refuse_handover(uint16_t slot, bool refuse);
  // One order for the fault points (base/fault.h), "NAME ACTION".
  void order_fault(const std::string& order);
  bool fault_happened() const;  // waits for it

  // Waits until each of these slots is served by one child of the master, and it has no others;
  // false also where two have ever believed that they serve one slot.
  bool one_process_serves_each(const std::vector<uint16_t>& slots);

 private:
  conf::TempDir dir_;
  std::string instance_;
  std::unique_ptr<Forked> process_;
  std::unique_ptr<shm::Segment> segment_;
};

// A connection to a fake worker; -1 inside where it was refused.
class FakeClient {
 public:
  explicit FakeClient(const std::string& address);
  bool connected() const { return bool(fd_); }
  void say(const std::string& word) const;
  std::string answer() const;  // "" at the end or after the timeout
  Who who() const;

 private:
  UniqueFd fd_;
};

}  // namespace holdfast::test
