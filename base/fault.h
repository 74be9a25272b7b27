// base/fault.h - points where a test build stops or ends a process, to show how the others react.
//
// HF_FAULT("handover.before_commit") is nothing unless HOLDFAST_FAULTS is defined (meson -Dtests=true). Then a process
// that passes looks at the file that the environment variable HF_FAULT_FILE names: one line, "NAME ACTION". If the
// name is this point's, the process that manages to unlink the file acts, so each order is carried out once:
//   kill   SIGKILL to itself        stop   SIGSTOP to itself, goes on after SIGCONT
//   exit   _exit(3)                 segv   SIGSEGV
#pragma once

namespace holdfast {

#ifdef HOLDFAST_FAULTS
void fault_point(const char* name);
#define HF_FAULT(name) ::holdfast::fault_point(name)
#else
#define HF_FAULT(name) static_cast<void>(0)
#endif

}  // namespace holdfast
