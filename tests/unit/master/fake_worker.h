// tests/unit/master/fake_worker.h - a worker_main() that keeps the contract of worker/worker.h and
// does next to nothing.
//
// It accepts on all its listeners, and answers each line that a client sends:
//   who     "slot=S generation=G pid=P listeners=N"
//   crash   dies of SIGABRT             hang    answers, then stands still, heartbeat and all
//   anything else: the line
// It hands its slot and its clients over, and takes them over, as the real one does. Two that serve
// the same slot at once are noticed: the second writes RUNTIME_DIR/two-serve.
//
// Files in RUNTIME_DIR:
//   fail      a new one exits with 3 before it is ready, one that stands by too
//   refuse-S  the one in slot S answers a handover with kKept
// Fault points (base/fault.h), in the order in which they are passed:
//   predecessor   fake.asked  fake.sent  fake.before_commit  fake.after_commit
//   successor     fake.forked  fake.standing  fake.told  fake.received  fake.answered  fake.taken
#pragma once

#include "worker/worker.h"

namespace holdfast::test {

int fake_worker_main(const Heritage& heritage);

}  // namespace holdfast::test
