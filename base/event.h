// base/event.h - libevent as values with owners; the only place that includes it.
//
// Loop        one event_base; belongs to the process that made it.
// IoEvent     watches one descriptor; removes itself when destroyed.
// Poller      watches very many descriptors of owners of one kind, for one byte each.
// SignalEvent watches one signal.   Ticker  calls at a fixed period.
//
// Invariants
//   I1  A wrapper is out of its loop before its destructor returns; no call comes afterwards.
//   I2  A callback never destroys its own object: it gives it to Loop::defer_delete(), and the object dies
//       after the turn, in the order of retirement.
//   I3  No exception leaves a callback (trampolines are noexcept, a stray one ends the process).
//   I4  If the kernel has no room to watch a descriptor (ENOMEM, ENOSPC: fs.epoll.max_user_watches), this is tried again
//       every kAgainMs until there is room; Loop::unwatched() counts. Meanwhile the owner gets no calls.
//   I5  After fork the child must not use the parent's Loop: abandon_after_fork(), then a Loop of its own.
#pragma once

#include <event2/event.h>
#include <event2/event_struct.h>

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <vector>

#include "base/check.h"
#include "base/fd.h"

namespace holdfast {

// Names a member function as a callback: Call<&Connection::on_ready>{}.
template <auto Member>
struct Call {};

// The work of a process between two turns of its loop.
class TurnHook {
 public:
  // Called after the callbacks of a turn. True: work is left, so the loop only polls. False: it may sleep.
  virtual bool before_wait() = 0;
  // Called when the turn's callbacks have run.
  virtual void after_wait() = 0;

 protected:
  ~TurnHook() = default;
};

class Loop {
 public:
  Loop();
  Loop(const Loop&) = delete;
  Loop& operator=(const Loop&) = delete;
  ~Loop();

  // Runs turns until stop().
  void run(TurnHook* hook = nullptr);
  void stop() { stopped_ = true; }
  // In the child after fork: forgets the base without touching the parent's epoll set, and every event of it.
  void abandon_after_fork();

  // Destroys `object` after the current turn.
  template <class T>
  void defer_delete(std::unique_ptr<T> object) {
    graveyard_.push_back({object.release(), [](void* p) { delete static_cast<T*>(p); }});
  }
  // Destroys what is deferred now; run() calls it after every turn.
  void bury();

  event_base* raw() { return base_; }
  // Descriptors that had to wait for room, ever. // I4
  uint64_t unwatched() const { return unwatched_; }

 private:
  friend class IoEvent;
  friend class Poller;
  struct Grave {
    void* object;
    void (*destroy)(void*);
  };
  event_base* base_;
  bool stopped_ = false;
  uint64_t unwatched_ = 0;
  std::vector<Grave> graveyard_;
};

inline constexpr unsigned kAgainMs = 10;
inline constexpr short kRead = EV_READ;
inline constexpr short kWrite = EV_WRITE;

// Calls `(owner.*Member)(short ready)` while `fd` is ready for what watch() named (level-triggered). Not
// movable: libevent keeps its address. Embedded, nothing allocated here.
class IoEvent {
 public:
  template <auto Member, class Owner>
  IoEvent(Loop& loop, int fd, Owner& owner, Call<Member>) : loop_(loop), owner_(&owner) {
    call_ = [](evutil_socket_t, short ready, void* self) noexcept {
      (static_cast<Owner*>(self)->*Member)(ready);
    };
    event_assign(&event_, loop.raw(), fd, 0, call_, &owner);
  }
  IoEvent(const IoEvent&) = delete;
  IoEvent& operator=(const IoEvent&) = delete;
  ~IoEvent() { event_del(&event_); }

  // Watches exactly `what` (kRead, kWrite, both, or 0 for nothing).
  void watch(short what);
  short watching() const { return watching_; }

 private:
  void begin();

  event event_;
  Loop& loop_;
  void* owner_;
  event_callback_fn call_;
  short watching_ = 0;
};

// Calls `(owner.*Member)(int signal)` from the loop, never from the handler.
class SignalEvent {
 public:
  template <auto Member, class Owner>
  SignalEvent(Loop& loop, int signal, Owner& owner, Call<Member>) {
    event_assign(
        &event_, loop.raw(), signal, EV_SIGNAL | EV_PERSIST,
        [](evutil_socket_t number, short, void* self) noexcept {
          (static_cast<Owner*>(self)->*Member)(int(number));
        },
        &owner);
    HF_CHECK(event_add(&event_, nullptr) == 0);
  }
  SignalEvent(const SignalEvent&) = delete;
  SignalEvent& operator=(const SignalEvent&) = delete;
  ~SignalEvent() { event_del(&event_); }

 private:
  event event_;
};

// Calls `(owner.*Member)()` every `period_ms` until destroyed or stopped.
class Ticker {
 public:
  template <auto Member, class Owner>
  Ticker(Loop& loop, unsigned period_ms, Owner& owner, Call<Member>) {
    event_assign(
        &event_, loop.raw(), -1, EV_PERSIST,
        [](evutil_socket_t, short, void* self) noexcept { (static_cast<Owner*>(self)->*Member)(); },
        &owner);
    timeval period{time_t(period_ms / 1000), suseconds_t(period_ms % 1000 * 1000)};
    HF_CHECK(event_add(&event_, &period) == 0);
  }
  Ticker(const Ticker&) = delete;
  Ticker& operator=(const Ticker&) = delete;
  ~Ticker() { event_del(&event_); }
  void stop() { event_del(&event_); }

 private:
  event event_;
};

// An epoll set that the loop watches as one descriptor: with the loop's own events each of them would cost 200 bytes, in
// the owner and in libevent's tables. Level-triggered, one epoll_wait(2) of at most kTurnEvents a turn.
class Poller {
 public:
  static constexpr int kTurnEvents = 512;

  // Calls `(owner.*Member)(short ready)` with the part of the watched events that is ready (see watch()).
  template <class Owner, void (Owner::*Member)(short)>
  struct To {};
  template <class Owner, void (Owner::*Member)(short)>
  Poller(Loop& loop, To<Owner, Member>)
      : loop_(loop),
        call_([](void* owner, short ready) noexcept {
          (static_cast<Owner*>(owner)->*Member)(ready);
        }),
        epoll_(make_epoll()),
        ready_(loop, epoll_.get(), *this, Call<&Poller::on_ready>{}) {
    ready_.watch(EV_READ);
  }

  // Watches `fd` for exactly `what` (kRead, kWrite, both, 0 for nothing) from now on. `watching` is the owner's note of
  // the events that are watched, 0 at first. It must be back at 0 before the owner or its descriptor goes: a descriptor
  // that another process holds too would stay in the set.
  void watch(int fd, void* owner, uint8_t& watching, short what);

 private:
  struct Waiting {
    void* owner;
    short what;
  };

  static UniqueFd make_epoll();
  // False: the kernel has no room.
  bool add(int fd, void* owner, short what);
  void on_ready(short);
  void try_again();

  Loop& loop_;
  void (*call_)(void* owner, short ready) noexcept;
  UniqueFd epoll_;
  IoEvent ready_;                   // dies before epoll_
  std::map<int, Waiting> waiting_;  // by descriptor // I4
  std::optional<Ticker> again_;     // while a descriptor waits
};

}  // namespace holdfast
