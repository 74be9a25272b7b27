#include "worker/net/output_queue.h"

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
  rest_->by_tag.reset();
  rest_->buffers.insert(rest_->buffers.begin() + std::ptrdiff_t(rest_->head), std::move(buffer));
}

void OutputQueue::advance() {
  offset_ = 0;
  first_ = BufferRef();
  if (!rest_) return;
  Rest& rest = *rest_;
  for (; !rest.buffers[rest.head]; ++rest.head) --rest.holes;
  first_ = std::move(rest.buffers[rest.head++]);
  if (rest.head == rest.buffers.size()) {
    rest_.reset();  // I1
  } else if (rest.head >= 64 && rest.head * 2 >= rest.buffers.size()) {
    rest.buffers.erase(rest.buffers.begin(), rest.buffers.begin() + std::ptrdiff_t(rest.head));
    if (rest.by_tag) rest.by_tag->passed += rest.head;
    rest.head = 0;
  }
}

size_t OutputQueue::drop_listed(size_t most, uint64_t tag) {
  Rest& rest = *rest_;
  ByTag& by_tag = *rest.by_tag;
  auto found = by_tag.of.find(tag);
  if (found == by_tag.of.end()) return 0;
  size_t dropped = 0;
  ByTag::Places& listed = found->second;
  while (held() > most && listed.head < listed.places.size()) {
    uint64_t place = listed.places[listed.head++];
    --by_tag.size;
    if (place < by_tag.passed + rest.head) continue;  // sent meanwhile
    BufferRef& buffer = rest.buffers[size_t(place - by_tag.passed)];
    bytes_ -= uint32_t(buffer.size());
    buffer = BufferRef();
    ++rest.holes;
    ++dropped;
  }
  if (listed.head == listed.places.size()) {
    by_tag.of.erase(found);
  } else if (listed.head * 2 >= listed.places.size()) {
    listed.places.erase(listed.places.begin(), listed.places.begin() + std::ptrdiff_t(listed.head));
    listed.head = 0;
  }
  return dropped;
}

// I4
void OutputQueue::close_holes() {
  Rest& rest = *rest_;
  while (rest.head < rest.buffers.size() && !rest.buffers.back()) {
    rest.buffers.pop_back();
    --rest.holes;
  }
  size_t left = rest.buffers.size() - rest.head;
  if (rest.holes * 2 > left) {
    auto begin = rest.buffers.begin() + std::ptrdiff_t(rest.head);
    rest.buffers.erase(
        std::remove_if(begin, rest.buffers.end(), [](const BufferRef& buffer) { return !buffer; }),
        rest.buffers.end());
    rest.holes = 0;
    rest.by_tag.reset();  // they have other places now
  } else if (rest.by_tag && rest.by_tag->size > 2 * left + 64) {
    rest.by_tag.reset();  // it names mostly what is gone
  } else if (rest.by_tag) {
    rest.by_tag->listed = std::min(rest.by_tag->listed, rest.by_tag->passed + rest.buffers.size());
  }
}

void OutputQueue::settle() {
  if (!rest_) return;
  if (rest_->holes > 0 || rest_->by_tag) close_holes();
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
      if (!rest_->buffers[rest_->head + i]) continue;
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
  size_t dropped = rest_ ? rest_size() - rest_->holes : 0;
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
