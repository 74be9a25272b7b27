// tests/unit/master/fake_worker.h - a worker_main() that keeps the contract of worker/worker.h and
// does next to nothing.
//
// It accepts on all its listeners, and answers each line that a client sends:
//   who     "slot=S generation=G pid=P listeners=N"
//   crash   dies of SIGABRT             hang    answers, then stands still, heartbeat and all
//   anything else: the line
// A file RUNTIME_DIR/fail makes a new one exit with 3 before it is ready.
#pragma once

#include "worker/worker.h"

namespace holdfast::test {

int fake_worker_main(const Heritage& heritage);

}  // namespace holdfast::test
