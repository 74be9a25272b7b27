// worker/net/timing_wheel.h - deadlines of very many connections for a few bytes each.
//
// One wheel per worker: 1,024 slots of 100 ms; later deadlines go round again. Arming, moving and disarming are O(1);
// a deadline fires at the first tick at or after it, so up to 100 ms late and never early.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>

namespace holdfast {

// A member of an object with a deadline; disarms itself when destroyed. Not movable: the wheel keeps its address.
class Deadline {
 public:
  Deadline() = default;
  Deadline(const Deadline&) = delete;
  Deadline& operator=(const Deadline&) = delete;
  virtual ~Deadline() { disarm(); }
  void disarm();
  bool armed() const { return next_ != nullptr; }
  // When it fires; 0: not armed.
  uint64_t at_ms() const;

 protected:
  // Called once for each arming, already disarmed: may arm again or defer_delete itself.
  virtual void on_deadline() = 0;

 private:
  friend class TimingWheel;
  void link_before(Deadline& other);

  Deadline* prev_ = nullptr;
  Deadline* next_ = nullptr;
  uint64_t at_tick_ = 0;
};

class TimingWheel {
 public:
  static constexpr uint64_t kTickMs = 100;

  explicit TimingWheel(uint64_t now_ms) : tick_(now_ms / kTickMs) {}
  TimingWheel(const TimingWheel&) = delete;
  TimingWheel& operator=(const TimingWheel&) = delete;

  // Replaces an earlier arming.
  void arm(Deadline& deadline, uint64_t at_ms);
  // Another clock from now on; nothing may be armed.
  void begin_at(uint64_t now_ms) { tick_ = now_ms / kTickMs; }
  // Fires everything due.
  void advance(uint64_t now_ms);

 private:
  static constexpr size_t kSlots = 1024;
  struct Anchor final : Deadline {
    Anchor();
    ~Anchor() override;
    void on_deadline() override {}
  };
  void fire_slot(Anchor& slot);

  std::array<Anchor, kSlots> slots_;
  uint64_t tick_;  // the last one that has fired
};

}  // namespace holdfast
