// tests/unit/master/slots_rig.h - Slots with a real spawner and fake workers, in the test's own
// process, so that a test decides when what happens and what time it is.
#pragma once

#include <functional>
#include <list>
#include <string>
#include <vector>

#include "master/handover_broker.h"
#include "master/slots.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/master/fake_worker.h"
#include "tests/unit/master/running_master.h"

namespace holdfast::test {

class SlotsRig : private master::SlotObserver {
 public:
  explicit SlotsRig(master::WorkerMain worker_main = fake_worker_main);
  ~SlotsRig();  // ends every process

  // A further one; its number is one more than the last one's.
  const master::Generation& new_generation(unsigned workers = 1);
  // Starts the slot and waits until it serves.
  void serve(uint16_t slot, const master::Generation& generation, unsigned ordinal = 0);
  // A successor that is ready.
  void stand_by(uint16_t slot, const master::Terms& terms);
  pid_t server(uint16_t slot) const;  // by the segment
  shm::SlotHead& head(uint16_t slot) const { return segment_->slot(slot); }

  shm::StatsBlock& stats(uint16_t slot) const { return segment_->stats(slot); }

  // Runs the loop, reaping, until it is so. False: it took too long.
  bool until(const std::function<bool()>& condition);
  bool heard(const std::string& news);  // waits: "taken 0", "crashed 1", "empty 2" ...
  bool has_heard(const std::string& news) const;
  void forget() { news_.clear(); }

  // As in RunningMaster.
  void order_fault(const std::string& order);
  bool fault_happened();
  void put_file(const std::string& name) { dir_.write("run/" + name, ""); }
  void remove_file(const std::string& name) { std::filesystem::remove(dir_ / "run/" + name); }
  bool one_process_serves_each(const std::vector<uint16_t>& slots);

  master::Slots& slots() { return *slots_; }
  master::Slot& operator[](uint16_t slot) { return (*slots_)[slot]; }
  // Hears what the slots tell, where it is there.
  std::unique_ptr<master::HandoverBroker> broker;

 private:
  void on_slot_ready(uint16_t slot) override;
  void on_slot_crashed(uint16_t slot) override;
  void on_slot_empty(uint16_t slot) override;
  void on_succession(uint16_t slot, master::Succession news) override;
  void on_other_exit(const master::Exit&) override {}
  void on_tick();

  conf::TempDir dir_;
  std::string instance_;
  Loop loop_;
  std::unique_ptr<shm::Segment> segment_;
  master::ListenSockets sockets_;
  std::unique_ptr<master::Doorbells> doorbells_;
  master::ProcessTitle title_;
  std::unique_ptr<master::Spawner> spawner_;
  std::unique_ptr<master::Slots> slots_;
  std::list<master::Generation> generations_;
  std::vector<std::string> news_;
  std::function<bool()> condition_;
  bool condition_met_ = false;
  uint64_t until_ms_ = 0;
};

}  // namespace holdfast::test
