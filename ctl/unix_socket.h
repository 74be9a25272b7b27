// ctl/unix_socket.h - a stream to a socket of the instance, with a deadline on every step.
//
// A server may be stopped, hung or gone at any instant; no call here waits longer than it was told.
// Used by the HTTP client and the trace (api.sock) and by the control channel (control.sock).
#pragma once

#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/fd.h"
#include "base/result.h"

namespace holdfast::ctl {

// A point on the monotonic clock.
class Deadline {
 public:
  explicit Deadline(uint64_t in_ms) : at_ms_(monotonic_ms() + in_ms) {}
  // At least 1 until it has passed, then 0.
  uint64_t left_ms() const {
    uint64_t now = monotonic_ms();
    return now >= at_ms_ ? 0 : at_ms_ - now;
  }

 private:
  uint64_t at_ms_;
};

class UnixSocket {
 public:
  // Errc::gone: nobody listens there. Errc::limit: no answer in time, or a path too long for a
  // socket.
  static Result<UnixSocket> connect(const std::string& path, const Deadline& deadline);

  // All of it; Errc::gone if the other side closed first.
  Result<void> write(std::string_view bytes, const Deadline& deadline);
  // Appends what is there, at least one byte; false at the end of the stream.
  Result<bool> read(std::string& to, const Deadline& deadline);
  // For callers that wait for more than this socket.
  int fd() const { return fd_.get(); }

 private:
  explicit UnixSocket(UniqueFd fd) : fd_(std::move(fd)) {}
  Result<void> wait(short what, const Deadline& deadline);

  UniqueFd fd_;
};

}  // namespace holdfast::ctl
