#include "master/sandbox.h"

#include <seccomp.h>
#include <sys/prctl.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>

#include "base/log.h"

namespace holdfast::master {
namespace {

constexpr int kAllowed[] = {
    // Bytes in and out.
    SCMP_SYS(read), SCMP_SYS(write), SCMP_SYS(readv), SCMP_SYS(writev), SCMP_SYS(pread64),
    SCMP_SYS(pwrite64), SCMP_SYS(preadv), SCMP_SYS(pwritev), SCMP_SYS(pwritev2), SCMP_SYS(close),
    SCMP_SYS(close_range), SCMP_SYS(dup), SCMP_SYS(dup2), SCMP_SYS(dup3), SCMP_SYS(fcntl),
    SCMP_SYS(ioctl), SCMP_SYS(lseek), SCMP_SYS(pipe2), SCMP_SYS(eventfd2), SCMP_SYS(sendfile),
    // Files: the log, /dev/null, the time zone, /proc of its own.
    SCMP_SYS(open), SCMP_SYS(openat), SCMP_SYS(stat), SCMP_SYS(fstat), SCMP_SYS(lstat),
    SCMP_SYS(newfstatat), SCMP_SYS(statx), SCMP_SYS(access), SCMP_SYS(faccessat),
    SCMP_SYS(faccessat2), SCMP_SYS(readlink), SCMP_SYS(readlinkat), SCMP_SYS(getdents64),
    SCMP_SYS(fsync), SCMP_SYS(fdatasync), SCMP_SYS(ftruncate), SCMP_SYS(fallocate), SCMP_SYS(flock),
    SCMP_SYS(umask), SCMP_SYS(getcwd),
    // Sockets; none of its own that listens.
    SCMP_SYS(socket), SCMP_SYS(socketpair), SCMP_SYS(connect), SCMP_SYS(accept), SCMP_SYS(accept4),
    SCMP_SYS(shutdown), SCMP_SYS(getsockname), SCMP_SYS(getpeername), SCMP_SYS(getsockopt),
    SCMP_SYS(setsockopt), SCMP_SYS(sendto), SCMP_SYS(recvfrom), SCMP_SYS(sendmsg),
    SCMP_SYS(recvmsg), SCMP_SYS(sendmmsg), SCMP_SYS(recvmmsg),
    // Waiting.
    SCMP_SYS(poll), SCMP_SYS(ppoll), SCMP_SYS(select), SCMP_SYS(pselect6), SCMP_SYS(epoll_create),
    SCMP_SYS(epoll_create1), SCMP_SYS(epoll_ctl), SCMP_SYS(epoll_wait), SCMP_SYS(epoll_pwait),
    SCMP_SYS(epoll_pwait2), SCMP_SYS(timerfd_create), SCMP_SYS(timerfd_settime),
    SCMP_SYS(timerfd_gettime), SCMP_SYS(signalfd4), SCMP_SYS(nanosleep), SCMP_SYS(clock_nanosleep),
    SCMP_SYS(pause), SCMP_SYS(restart_syscall), SCMP_SYS(futex), SCMP_SYS(sched_yield),
    // Memory.
    SCMP_SYS(mmap), SCMP_SYS(munmap), SCMP_SYS(mremap), SCMP_SYS(mprotect), SCMP_SYS(madvise),
    SCMP_SYS(brk), SCMP_SYS(mincore), SCMP_SYS(msync), SCMP_SYS(membarrier),
    // Itself, the clock, chance.
    SCMP_SYS(getpid), SCMP_SYS(gettid), SCMP_SYS(getppid), SCMP_SYS(getuid), SCMP_SYS(geteuid),
    SCMP_SYS(getgid), SCMP_SYS(getegid), SCMP_SYS(getpgrp), SCMP_SYS(getrusage),
    SCMP_SYS(getrlimit), SCMP_SYS(prlimit64), SCMP_SYS(uname), SCMP_SYS(sysinfo), SCMP_SYS(times),
    SCMP_SYS(time), SCMP_SYS(gettimeofday), SCMP_SYS(clock_gettime), SCMP_SYS(clock_getres),
    SCMP_SYS(getrandom), SCMP_SYS(getcpu), SCMP_SYS(sched_getaffinity), SCMP_SYS(prctl),
    SCMP_SYS(arch_prctl), SCMP_SYS(rseq), SCMP_SYS(set_robust_list), SCMP_SYS(set_tid_address),
    // Signals, crashing, ending.
    SCMP_SYS(rt_sigaction), SCMP_SYS(rt_sigprocmask), SCMP_SYS(rt_sigreturn),
    SCMP_SYS(rt_sigpending), SCMP_SYS(rt_sigtimedwait), SCMP_SYS(sigaltstack), SCMP_SYS(exit),
    SCMP_SYS(exit_group),
#ifdef HOLDFAST_FAULTS
    SCMP_SYS(unlink), SCMP_SYS(unlinkat),  // base/fault.h
#endif
};

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
constexpr bool kSanitized = true;  // they look at other processes' affairs, as ptrace does
#else
constexpr bool kSanitized = false;
#endif

struct ReleaseFilter {
  void operator()(void* filter) const { seccomp_release(filter); }
};

Error failed(const char* what, int error) {
  return Error{Errc::io, error, fmt::format("seccomp: {}", what)};
}

// What may be asked of oneself only: the first argument is our pid.
Result<void> allow_own(scmp_filter_ctx filter, int call) {
  int done = seccomp_rule_add(filter, SCMP_ACT_ALLOW, call, 1,
                              SCMP_A0(SCMP_CMP_EQ, scmp_datum_t(getpid())));
  if (done != 0) return failed("rule", -done);
  return {};
}

}  // namespace

Result<void> enter_sandbox(conf::Seccomp mode) {
  if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
    return Error{Errc::io, errno, "prctl PR_SET_NO_NEW_PRIVS"};
  if (mode == conf::Seccomp::off || kSanitized) return {};
  uint32_t otherwise = mode == conf::Seccomp::log ? SCMP_ACT_LOG : SCMP_ACT_KILL_PROCESS;
  std::unique_ptr<void, ReleaseFilter> filter(seccomp_init(otherwise));
  if (!filter) return failed("no filter", ENOMEM);
  for (int call : kAllowed)
    if (int done = seccomp_rule_add(filter.get(), SCMP_ACT_ALLOW, call, 0); done != 0)
      return failed("rule", -done);
  for (int call : {SCMP_SYS(kill), SCMP_SYS(tgkill)})
    if (auto done = allow_own(filter.get(), call); !done) return done;
  // The C library asks for a thread by clone3 and goes on without; there are none here.
  if (int done = seccomp_rule_add(filter.get(), SCMP_ACT_ERRNO(ENOSYS), SCMP_SYS(clone3), 0);
      done != 0)
    return failed("rule", -done);
  int loaded = seccomp_load(filter.get());
  if (loaded == -EINVAL || loaded == -ENOSYS) {
    log_warn("this kernel has no seccomp: workers run without their list of system calls");
    return {};
  }
  if (loaded != 0) return failed("load", -loaded);
  return {};
}

}  // namespace holdfast::master
