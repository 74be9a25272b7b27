#include "worker/handover/parcels.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::handover {
namespace {

constexpr int kLookMs = 100;  // how often who waits says that it is alive

struct FrameHead {
  char type = 0;
  uint8_t zero = 0;
  uint16_t fds = 0;
  uint32_t bytes = 0;
};
static_assert(sizeof(FrameHead) == 8);

struct ParcelHead {
  Kind kind = Kind::end;
  uint8_t has_fd = 0;
  uint16_t zero = 0;
  uint32_t bytes = 0;
};
static_assert(sizeof(ParcelHead) == 8);

Error ended(int error) {
  return {Errc::gone, error, "the other process ended the handover"};
}

void put_fds(msghdr& message, char* room, size_t room_bytes, const std::vector<int>& fds) {
  if (fds.empty()) return;
  message.msg_control = room;
  message.msg_controllen = CMSG_SPACE(fds.size() * sizeof(int));
  HF_CHECK(message.msg_controllen <= room_bytes);
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(fds.size() * sizeof(int));
  std::memcpy(CMSG_DATA(head), fds.data(), fds.size() * sizeof(int));
}

void take_fds(msghdr& message, std::vector<UniqueFd>& fds) {
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    size_t count = (head->cmsg_len - CMSG_LEN(0)) / sizeof(int);
    for (size_t i = 0; i < count; ++i) {
      int fd;
      std::memcpy(&fd, CMSG_DATA(head) + i * sizeof fd, sizeof fd);
      fds.emplace_back(fd);
    }
  }
}

}  // namespace

Channel::Channel(UniqueFd socket, uint64_t patience_ms, std::function<void()> alive)
    : socket_(std::move(socket)), patience_ms_(patience_ms), alive_(std::move(alive)) {
  // poll(2) waits, not the calls.
  int flags = fcntl(socket_.get(), F_GETFL);
  HF_CHECK(flags != -1 && fcntl(socket_.get(), F_SETFL, flags | O_NONBLOCK) == 0);
}

Result<void> Channel::wait(short what) {
  uint64_t since_ms = monotonic_ms();
  for (;;) {
    alive_();
    pollfd one{.fd = socket_.get(), .events = what, .revents = 0};
    int ready = poll(&one, 1, kLookMs);
    if (ready > 0) return {};
    if (ready == -1 && errno != EINTR) return Error{Errc::io, errno, "poll the handover socket"};
    if (monotonic_ms() - since_ms >= patience_ms_)
      return Error{Errc::busy, 0, "the other process has stopped answering"};
  }
}

Result<void> Channel::send(char type, std::string_view body, const std::vector<int>& fds) {
  HF_CHECK(fds.size() <= kMaxFds);
  if (body.size() > kMaxFrameBytes)
    return Error{Errc::limit, 0, fmt::format("{} bytes are too many for a frame", body.size())};
  FrameHead head{type, 0, uint16_t(fds.size()), uint32_t(body.size())};
  alignas(cmsghdr) char room[CMSG_SPACE(kMaxFds * sizeof(int))] = {};
  size_t total = sizeof head + body.size();
  for (size_t done = 0; done < total;) {
    iovec parts[2];
    size_t count = 0;
    if (done < sizeof head)
      parts[count++] = {reinterpret_cast<char*>(&head) + done, sizeof head - done};
    size_t at = done > sizeof head ? done - sizeof head : 0;
    if (at < body.size()) parts[count++] = {const_cast<char*>(body.data()) + at, body.size() - at};
    msghdr message{};
    message.msg_iov = parts;
    message.msg_iovlen = count;
    if (done == 0) put_fds(message, room, sizeof room, fds);
    ssize_t sent = sendmsg(socket_.get(), &message, MSG_NOSIGNAL);
    if (sent > 0) {
      done += size_t(sent);
      continue;
    }
    if (errno == EINTR) continue;
    if (errno == EPIPE || errno == ECONNRESET) return ended(0);
    // ETOOMANYREFS: too many descriptors under way (unix(7)); they become fewer as they are taken.
    if (errno != EAGAIN && errno != EWOULDBLOCK && errno != ETOOMANYREFS)
      return Error{Errc::io, errno, "send to the other process"};
    if (Result<void> ready = wait(POLLOUT); !ready) return ready;
  }
  return {};
}

Result<void> Channel::read_exactly(char* to, size_t bytes) {
  while (bytes > 0) {
    ssize_t got = recv(socket_.get(), to, bytes, 0);
    if (got > 0) {
      to += got;
      bytes -= size_t(got);
    } else if (got == 0 || errno == ECONNRESET) {
      return ended(0);
    } else if (errno == EAGAIN || errno == EWOULDBLOCK) {
      if (Result<void> ready = wait(POLLIN); !ready) return ready;
    } else if (errno != EINTR) {
      return Error{Errc::io, errno, "receive from the other process"};
    }
  }
  return {};
}

Result<Frame> Channel::receive() {
  Frame frame;
  FrameHead head;
  alignas(cmsghdr) char room[CMSG_SPACE(kMaxFds * sizeof(int))];
  ssize_t got;
  // The descriptors come with the first byte of the head, which is the first of what was sent with them.
  for (;;) {
    iovec part{&head, sizeof head};
    msghdr message{};
    message.msg_iov = &part;
    message.msg_iovlen = 1;
    message.msg_control = room;
    message.msg_controllen = sizeof room;
    got = recvmsg(socket_.get(), &message, MSG_CMSG_CLOEXEC);
    if (got > 0) {
      take_fds(message, frame.fds);
      if ((message.msg_flags & MSG_CTRUNC) != 0)
        return Error{Errc::limit, 0, "descriptors were lost: this process may have no more"};
      break;
    }
    if (got == 0 || errno == ECONNRESET) return ended(0);
    if (errno == EINTR) continue;
    if (errno != EAGAIN && errno != EWOULDBLOCK)
      return Error{Errc::io, errno, "receive from the other process"};
    if (Result<void> ready = wait(POLLIN); !ready) return std::move(ready.error());
  }
  Result<void> whole =
      read_exactly(reinterpret_cast<char*>(&head) + got, sizeof head - size_t(got));
  if (!whole) return std::move(whole.error());
  if (head.bytes > kMaxFrameBytes || head.fds != frame.fds.size())
    return Error{Errc::bad_input, 0, "a frame of the handover makes no sense"};
  frame.type = head.type;
  frame.body.resize(head.bytes);
  whole = read_exactly(frame.body.data(), frame.body.size());
  if (!whole) return std::move(whole.error());
  alive_();
  return frame;
}

Result<void> ParcelSender::put(Kind kind, std::string_view record, int fd) {
  if (record.size() > bounds_.record)
    return Error{Errc::limit, 0,
                 fmt::format("{} bytes wait in one of its parts, more than can be handed over",
                             record.size())};
  while (record.size() > bounds_.piece) {
    if (Result<void> sent = put_piece(Kind::part, record.substr(0, bounds_.piece), -1); !sent)
      return sent;
    record.remove_prefix(bounds_.piece);
  }
  return put_piece(kind, record, fd);
}

Result<void> ParcelSender::put_piece(Kind kind, std::string_view record, int fd) {
  bool full = parcels_ == kBatchParcels || body_.size() + record.size() > kBatchBytes;
  if (full && parcels_ > 0) {
    if (Result<void> sent = send_batch(); !sent) return sent;
  }
  ParcelHead head{kind, fd >= 0, 0, uint32_t(record.size())};
  body_.append(reinterpret_cast<const char*>(&head), sizeof head);
  body_ += record;
  if (fd >= 0) fds_.push_back(fd);
  ++parcels_;
  return {};
}

Result<void> ParcelSender::send_batch() {
  if (Result<void> room = wait_for_room(kWindow - 1); !room) return room;
  if (Result<void> sent = channel_.send('p', body_, fds_); !sent) return sent;
  ++unacknowledged_;
  body_.clear();
  fds_.clear();
  parcels_ = 0;
  return {};
}

Result<void> ParcelSender::wait_for_room(size_t window) {
  while (unacknowledged_ > window) {
    Result<Frame> answer = channel_.receive();
    if (!answer) return std::move(answer.error());
    if (answer->type == 'x') return Error{Errc::incompatible, 0, std::move(answer->body)};
    if (answer->type != 'a')
      return Error{Errc::bad_input, 0, "the successor's answer makes no sense"};
    --unacknowledged_;
  }
  return {};
}

Result<void> ParcelSender::finish() {
  if (parcels_ > 0) {
    if (Result<void> sent = send_batch(); !sent) return sent;
  }
  return wait_for_room(0);
}

std::optional<Parcel> ParcelReader::next() {
  if (rest_.empty()) {
    ok_ = ok_ && next_fd_ == frame_.fds.size();
    return {};
  }
  ParcelHead head;
  ok_ = ok_ && rest_.size() >= sizeof head;
  if (!ok_) return {};
  std::memcpy(&head, rest_.data(), sizeof head);
  rest_.remove_prefix(sizeof head);
  ok_ = head.bytes <= rest_.size() && (head.has_fd == 0 || next_fd_ < frame_.fds.size());
  if (!ok_) return {};
  Parcel parcel{head.kind, rest_.substr(0, head.bytes), UniqueFd()};
  rest_.remove_prefix(head.bytes);
  if (head.has_fd != 0) parcel.fd = std::move(frame_.fds[next_fd_++]);
  return parcel;
}

}  // namespace holdfast::handover
