// worker/routing/router.h - decides where a push goes; the one place that does.
//
//   Command -> by session: directory -> owner slot;  by channel or user: filter -> slots;  all: every live slot
//   own slot: Hub, now.   another slot: one record in its mailbox (Post), answered by a reply record if a count is wanted.
//
// Order: commands of one source (Command::source) executed one after the other reach one session in that order, wherever it
// lives (one ring per pair of workers, records in order, overflow after them).
#pragma once

#include <functional>
#include <memory>
#include <string_view>

#include "worker/routing/command.h"

namespace holdfast {

struct Session;

// Called exactly once, possibly before execute() returns. Must not throw.
using CommandDone = std::function<void(CommandResult&&)>;

class Router {
 public:
  virtual ~Router() = default;
  // Carries out a valid command. `done` may be empty: then no counts are collected.
  virtual void execute(const Command& command, CommandDone done) = 0;
  // How many commands of this source are not carried out yet, as far as they concern this worker: a caller that can wait with
  // the next one should.
  virtual size_t waiting(uint64_t /*source*/) const { return 0; }
  // Its client is not read from until none of its commands waits (source: source_of()).
  virtual void hold_while_waiting(Session& /*session*/) {}
  // Carries out the commands that other workers have posted until now, as the end of a turn does. To be called before an action
  // whose cause may have seen them done: a script pushes by another worker and then answers by this one.
  virtual void catch_up() {}
  static uint64_t source_of(const Session& session);
};

}  // namespace holdfast
