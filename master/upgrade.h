// master/upgrade.h - USR2 or "upgrade": the binary now on disk takes this master's place, in the
// same process, and its workers take the slots over.
//
// Timeline, with what happens when a step fails: up to (4) nothing has changed.
//   1  execute the binary in a child that only looks (upgrade_check.h)   refused, with its output
//   2  wait until the control socket has no other client, 10 s           goes on all the same
//   3  block signals; one more turn of the loop for those caught before  a stop: no upgrade
//   4  execve(2) with everything that is ours (takeover.h)               refused
//   -- from here the new image --
//   5  take everything over; a crash, or data that do not fit            back to the former image
//   6  a reload, with successors of the new code (reload.h); refused
//      or abandoned                                                      back to the former image
//   7  a slot is handed over: there is no way back. A slot that could not be handed over
//      goes on with the old code, and is named
//
//   state      event                              -> state      action
//   idle       asked                              -> checking   (1)
//   checking   refused                            -> idle       answer
//   checking   fit                                -> settling   (2)
//   settling   quiet, 10 s                        -> leaving    (3)
//   leaving    the turn after                     -> (gone)     (4); failed: idle, answer
//   (adopted)  begin                              -> proving    (6)
//   proving    the reload is accepted             -> proving    a crash is a crash from here on
//   proving    the reload ended: refused,
//              abandoned, no slot handed over     -> settling   with the former image
//   proving    the reload ended otherwise         -> idle       answer
//   any        the master stops                   -> idle       answer
//   not idle   asked, or a reload is              -> (same)     refused; by signal: one reload follows
#pragma once

#include "base/event.h"
#include "master/commands.h"
#include "master/spawn.h"
#include "master/upgrade_check.h"

namespace holdfast::master {

// The services of the master that its upgrade needs.
class UpgradeHost {
 public:
  virtual MasterRecord record() const = 0;
  virtual bool quiet() const = 0;            // the control socket has no client but the asker
  virtual bool names_are_keyed() const = 0;  // in the segment
  virtual void begin_reload() = 0;
  virtual void answer_upgrade(const Answer& answer) = 0;  // to the asker; `again` has been seen to

 protected:
  ~UpgradeHost() = default;
};

class Upgrade : public MasterOnly {
 public:
  static constexpr uint64_t kQuietMs = 10'000;

  Upgrade(Loop& loop, const std::vector<std::string>& arguments, std::string image_path,
          UpgradeHost& host);

  void ask();  // idle
  // The new image has taken everything over. `former`: its version.
  void begin(std::unique_ptr<WayBack> way_back, const std::string& former);
  bool active() const { return state_ != State::idle; }
  bool proving() const { return state_ == State::proving; }
  bool on_exit(const Exit& exit);  // true: it was our child
  void on_reload_accepted();
  // `changed`: some slot was handed over.
  void on_reload_ended(const Answer& answer, bool changed);
  void check(uint64_t now_ms);
  void cancel();
  void close_in_child() override;

 private:
  enum class State : uint8_t { idle, checking, settling, leaving, proving };

  void refuse(const std::string& why, const std::vector<std::string>& details);
  void settle(Image image, const std::string& why);
  void leave();
  void on_turn();

  Loop& loop_;
  const std::vector<std::string>& arguments_;
  Image own_;  // is executed on the way forward
  UpgradeHost& host_;
  UpgradeCheck check_;
  State state_ = State::idle;
  Image next_;
  std::string why_back_;  // empty on the way forward
  std::string former_;    // version
  std::unique_ptr<WayBack> way_back_;
  uint64_t deadline_ms_ = 0;
  std::optional<Ticker> turn_;  // runs only while leaving
};

}  // namespace holdfast::master
