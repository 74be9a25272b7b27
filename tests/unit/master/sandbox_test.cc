// A child enters the sandbox and then does what a worker must not, or must be able to.
#include "master/sandbox.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <functional>

namespace holdfast::master {
namespace {

#if defined(__SANITIZE_ADDRESS__)
constexpr bool kOn = false;
#else
constexpr bool kOn = true;
#endif

// How a child ended that entered and did it; 0: by _exit(0).
int after(conf::Seccomp mode, const std::function<void()>& deed) {
  pid_t pid = fork();
  if (pid == 0) {
    if (!enter_sandbox(mode)) _exit(77);
    deed();
    _exit(0);
  }
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  return status;
}

bool dies_of_it(const std::function<void()>& deed) {
  int status = after(conf::Seccomp::on, deed);
  return WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS;
}

TEST(Sandbox, WhatWouldGiveAnIntruderMoreEndsTheProcess) {
  if (!kOn) GTEST_SKIP() << "off under a sanitizer";
  char* const nothing[] = {nullptr};
  char program[] = "/bin/true";
  char* const arguments[] = {program, nullptr};
  const std::pair<const char*, std::function<void()>> deeds[] = {
      {"execve", [&] { execve(program, arguments, nothing); }},
      {"fork", [] { (void)fork(); }},
      {"vfork", [] { syscall(SYS_vfork); }},
      {"ptrace", [] { ptrace(PTRACE_TRACEME, 0, nullptr, nullptr); }},
      {"mount", [] { mount("none", "/mnt", "tmpfs", 0, nullptr); }},
      {"unshare", [] { unshare(CLONE_NEWUSER); }},
      {"setuid", [] { (void)!setuid(0); }},
      {"chroot", [] { (void)!chroot("/"); }},
      {"bind", [] { bind(0, nullptr, 0); }},
      {"listen", [] { listen(0, 1); }},
      {"bpf", [] { syscall(SYS_bpf, 0, nullptr, 0); }},
      {"keyctl", [] { syscall(SYS_keyctl, 0, 0, 0, 0, 0); }},
      {"io_uring", [] { syscall(SYS_io_uring_setup, 1, nullptr); }},
      {"init_module", [] { syscall(SYS_init_module, nullptr, 0, ""); }},
      {"process_vm_writev", [] { syscall(SYS_process_vm_writev, 1, nullptr, 0, nullptr, 0, 0); }},
      {"memfd_create", [] { syscall(SYS_memfd_create, "x", 0); }},
      {"chmod", [] { syscall(SYS_chmod, "/nowhere", 0777); }},
      {"rename", [] { syscall(SYS_rename, "/nowhere", "/nowhere2"); }},
      {"kill another", [] { kill(getppid(), 0); }},
      {"tgkill another", [] { syscall(SYS_tgkill, 1, 1, 0); }}};
  for (const auto& [name, deed] : deeds) EXPECT_TRUE(dies_of_it(deed)) << name;
}

TEST(Sandbox, WhatAWorkerNeedsGoesOn) {
  EXPECT_EQ(after(conf::Seccomp::on,
                  [] {
                    int ends[2];
                    if (socketpair(AF_UNIX, SOCK_STREAM, 0, ends) != 0) _exit(1);
                    if (kill(getpid(), 0) != 0) _exit(2);
                  }),
            0);
  int aborted = after(conf::Seccomp::on, [] { abort(); });
  EXPECT_TRUE(WIFSIGNALED(aborted) && WTERMSIG(aborted) == SIGABRT) << aborted;
}

TEST(Sandbox, LogAndOffEndNobody) {
  for (auto mode : {conf::Seccomp::log, conf::Seccomp::off})
    EXPECT_EQ(after(mode, [] { (void)getpgid(0); }), 0);
}

}  // namespace
}  // namespace holdfast::master
