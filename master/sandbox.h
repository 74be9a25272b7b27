// master/sandbox.h - the requests that a worker may still make to the kernel: a list of system calls (seccomp(2), by
// libseccomp).
//
// A worker reads bytes of strangers. An attacker who takes one over finds no execve, no fork, no ptrace, no mount, no module,
// no new listening socket, and no signal to any process but itself. The list has the calls that workers need, and harmless
// ones that the C library, the allocator or OpenSSL of another release may use.
//
// Invariants
//   I1  It is entered after the rights have been given up and before anything of a client is read. For good: it also holds
//       for all that the process might start.
//   I2  A call that is not on it ends the worker by SIGSYS, as any crash; the master logs it and starts another.
#pragma once

#include "base/result.h"
#include "conf/config.h"

namespace holdfast::master {

// Also keeps set-user-id programs from giving more rights (PR_SET_NO_NEW_PRIVS), whatever `mode` is. A kernel without
// seccomp is a warning, not an error.
Result<void> enter_sandbox(conf::Seccomp mode);

}  // namespace holdfast::master
