// tests/harness/faults.h - errors of system calls, made up at random in a real holdfastd.
//
// fault_shim.cc is loaded before libc (LD_PRELOAD) into every process of the server, in place of the calls that may fail; it
// looks up in a file that all of them map, and the test too, how often which fault is to come. So a test
// turns faults on and off while the server runs, and sees how many there have been.
//
//   fault         in                                                  of
//   interrupted   read, write, send, recv, accept, epoll_wait ...     any descriptor
//   short_read    read, recv ...: at most a few bytes                 stream sockets
//   short_write   write, send ...: likewise                           stream sockets
//   reset         send, recv ...: ECONNRESET                          connections to others
//   broken_pipe   send ...: EPIPE                                     connections to others
//   no_memory     send, recv, accept, socket, epoll_ctl ADD: ENOMEM   connections to others
//   no_files      accept, socket, open: EMFILE
//   no_space      fallocate: ENOSPC                                   the segment
//
// Others are clients and the application, by TCP or a unix socket with a path. What processes of one instance say to each
// other fails only in ways that it can.
#pragma once

#include <atomic>
#include <cstdint>

namespace holdfast::test {

enum class Fault : uint8_t {
  interrupted,
  short_read,
  short_write,
  reset,
  broken_pipe,
  no_memory,
  no_files,
  no_space
};
inline constexpr unsigned kFaults = 8;

// The file. All zero: nothing fails.
struct FaultTable {
  std::atomic<uint32_t> one_in[kFaults];  // calls that could have it; 0: none
  std::atomic<uint64_t> come[kFaults];    // so many have
  std::atomic<uint64_t> calls;            // the seed of the next
};
inline constexpr const char* kFaultsVariable = "HF_FAULTS";  // names the file

}  // namespace holdfast::test
