// master/resolver_process.h - the process that looks names up, so that a worker need neither wait for it nor be allowed to.
//
// One for each worker whose configuration has a back end with a name. Forked by the worker's process after its rights are given
// up, before its list of system calls is loaded: getaddrinfo(3) needs more of the kernel than a worker may have. It has no
// descriptor but its end of the socket and standard error, and ends when the worker closes the other end. For their messages
// see worker/backends/resolver.h.
//
// A name takes as long as its name servers: each question has a thread, kMaxThreads at a time, so that one that is not
// answered keeps no other waiting.
#pragma once

#include "base/fd.h"
#include "base/result.h"
#include "conf/config.h"

namespace holdfast::master {

bool has_names(const conf::Config& config);
// The worker's end.
Result<UniqueFd> start_resolver();

}  // namespace holdfast::master
