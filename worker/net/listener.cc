#include "worker/net/listener.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace holdfast {
namespace {

UniqueFd open_reserve() {
  return UniqueFd(open("/dev/null", O_RDONLY | O_CLOEXEC));
}

shm::SessionOrigin origin_of(const sockaddr_storage& raw, uint16_t listener) {
  shm::SessionOrigin origin;
  origin.listener = listener;
  if (raw.ss_family == AF_INET) {
    auto in = reinterpret_cast<const sockaddr_in*>(&raw);
    origin.peer.s6_addr[10] = origin.peer.s6_addr[11] = 0xff;
    std::memcpy(&origin.peer.s6_addr[12], &in->sin_addr, 4);
    origin.peer_port = ntohs(in->sin_port);
  } else if (raw.ss_family == AF_INET6) {
    auto in = reinterpret_cast<const sockaddr_in6*>(&raw);
    origin.peer = in->sin6_addr;
    origin.peer_port = ntohs(in->sin6_port);
  }
  return origin;
}

}  // namespace

Listener::Listener(Runtime& runtime, UniqueFd fd, uint16_t index, OnAccept on_accept)
    : runtime_(runtime),
      fd_(std::move(fd)),
      index_(index),
      on_accept_(std::move(on_accept)),
      event_(runtime.loop, fd_.get(), *this, Call<&Listener::on_ready>{}),
      reserve_(open_reserve()) {}

void Listener::on_ready(short) {
  for (unsigned n = 0; n < kTurnAccepts; ++n)
    if (!accept_one()) return;
}

bool Listener::accept_one() {
  sockaddr_storage raw{};
  socklen_t bytes = sizeof raw;
  int fd =
      accept4(fd_.get(), reinterpret_cast<sockaddr*>(&raw), &bytes, SOCK_NONBLOCK | SOCK_CLOEXEC);
  if (fd >= 0) {
    if (raw.ss_family != AF_UNIX) {
      int on = 1;  // frames leave when they are ready; failing only costs latency
      (void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    runtime_.stats.connections_accepted.add();
    on_accept_(UniqueFd(fd), origin_of(raw, index_));
    return true;
  }
  switch (errno) {
    case EAGAIN:
      return false;
    case EINTR:
    case ECONNABORTED:
      return true;  // the client left while it waited
    case EMFILE:
    case ENFILE:
      out_of_files();
      return false;
    default:
      runtime_.stats.connections_accept_errors.add();
      if (uint64_t n = gate_.pass())
        log_warn("accept failed error=\"{}\" times={}; accepting pauses", std::strerror(errno), n);
      event_.watch(0);
      paused_until_ms_ = runtime_.now_ms + kPauseMs;
      return false;
  }
}

void Listener::out_of_files() {
  runtime_.stats.connections_out_of_files.add();
  if (uint64_t n = gate_.pass())
    log_warn("out of descriptors times={}; refusing connections, raise LimitNOFILE or add workers",
             n);
  reserve_.reset();
  UniqueFd refused(accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  refused.reset();
  reserve_ = open_reserve();
  event_.watch(0);
  paused_until_ms_ = runtime_.now_ms + kPauseMs;
}

void Listener::tick() {
  if (paused_until_ms_ == 0 || runtime_.now_ms < paused_until_ms_) return;
  paused_until_ms_ = 0;
  if (!reserve_) reserve_ = open_reserve();
  event_.watch(kRead);
}

void Listener::stop(bool empty_queue) {
  event_.watch(0);
  paused_until_ms_ = 0;
  for (unsigned n = 0; empty_queue && n < kLastAccepts && accept_one(); ++n) {
  }
  event_.watch(0);
  paused_until_ms_ = 0;
  fd_.reset();
}

}  // namespace holdfast
