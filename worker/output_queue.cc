#include "worker/output_queue.h"

#include <sys/socket.h>
#include <sys/uio.h>

#include <algorithm>
#include <cerrno>

namespace holdfast {
namespace {
constexpr size_t kMaxParts = 64;  // of one sendmsg(2)
}

void OutputQueue::push(BufferRef buffer) {
  if (buffer.size() == 0) return;
  bytes_ += uint32_t(buffer.size());
  if (!first_) {
    first_ = std::move(buffer);
    return;
  }
  if (!rest_) rest_ = std::make_unique<Rest>();
  rest_->buffers.push_back(std::move(buffer));
}

bool OutputQueue::set_sent(uint32_t bytes) {
  if (bytes == 0) return true;
  if (!first_ || bytes >= first_.size()) return false;
  offset_ = bytes;
  bytes_ -= bytes;
  return true;
}

void OutputQueue::push_front(BufferRef buffer) {
  HF_CHECK(offset_ == 0);
  if (buffer.size() == 0) return;
  bytes_ += uint32_t(buffer.size());
  std::swap(first_, buffer);
  if (!buffer) return;
  if (!rest_) rest_ = std::make_unique<Rest>();
  rest_->buffers.insert(rest_->buffers.begin() + std::ptrdiff_t(rest_->head), std::move(buffer));
}

void OutputQueue::advance() {
  offset_ = 0;
  first_ = BufferRef();
  if (!rest_) return;
  first_ = std::move(rest_->buffers[rest_->head++]);
  if (rest_->head == rest_->buffers.size()) {
    rest_.reset();  // I1
  } else if (rest_->head >= 64 && rest_->head * 2 >= rest_->buffers.size()) {
    rest_->buffers.erase(rest_->buffers.begin(),
                         rest_->buffers.begin() + std::ptrdiff_t(rest_->head));
    rest_->head = 0;
  }
}

void OutputQueue::settle() {
  if (!rest_) return;
  if (rest_->head == rest_->buffers.size()) {
    rest_.reset();
  } else if (!first_) {
    advance();
  }
}

void OutputQueue::consume(size_t sent) {
  bytes_ -= uint32_t(sent);
  while (sent > 0) {
    size_t left = first_.size() - offset_;
    if (sent < left) {
      offset_ += uint32_t(sent);
      return;
    }
    sent -= left;
    advance();
  }
}

OutputQueue::Written OutputQueue::write_to(int fd, size_t budget) {
  Written done{Outcome::drained, 0, 0};
  while (bytes_ > 0) {
    if (done.bytes >= budget) {
      done.outcome = Outcome::more;
      return done;
    }
    iovec parts[kMaxParts];
    size_t count = 1;
    std::string_view first = first_.bytes().substr(offset_);
    parts[0] = {const_cast<char*>(first.data()), first.size()};
    size_t offered = first.size();
    for (size_t i = 0; i < rest_size() && count < kMaxParts; ++i) {
      std::string_view next = rest_->buffers[rest_->head + i].bytes();
      parts[count++] = {const_cast<char*>(next.data()), next.size()};
      offered += next.size();
    }
    ssize_t sent;
    do {
      ++done.writes;
      if (count == 1) {
        sent = send(fd, parts[0].iov_base, parts[0].iov_len, MSG_NOSIGNAL | MSG_DONTWAIT);
      } else {
        msghdr message{};
        message.msg_iov = parts;
        message.msg_iovlen = count;
        sent = sendmsg(fd, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
      }
    } while (sent == -1 && errno == EINTR);
    if (sent == -1) {
      bool full = errno == EAGAIN || errno == EWOULDBLOCK;
      done.outcome = full ? Outcome::blocked : Outcome::failed;
      return done;
    }
    consume(size_t(sent));
    done.bytes += size_t(sent);
    if (size_t(sent) < offered) {
      done.outcome = Outcome::blocked;
      return done;
    }
  }
  return done;
}

void OutputQueue::take(std::string& to, size_t most) {
  while (most > 0 && bytes_ > 0) {
    std::string_view next = first_.bytes().substr(offset_, most);
    to += next;
    most -= next.size();
    consume(next.size());
  }
}

size_t OutputQueue::drop_unsent(bool keep_first) {
  size_t dropped = rest_size();
  rest_.reset();
  if (offset_ > 0 || (keep_first && first_)) {
    bytes_ = uint32_t(first_.size() - offset_);
    return dropped;
  }
  if (first_) ++dropped;
  first_ = BufferRef();
  bytes_ = 0;
  return dropped;
}

}  // namespace holdfast
