// base/buffer.h - immutable bytes shared by many output queues of one worker.
//
// A published message is framed once into a Buffer; each recipient holds one BufferRef (a pointer). The count is
// not atomic: a Buffer never leaves the worker that made it.
#pragma once

#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <new>
#include <string_view>
#include <utility>

#include "base/check.h"

namespace holdfast {

class Buffer {
 public:
  std::string_view bytes() const { return {reinterpret_cast<const char*>(this + 1), size_}; }
  uint64_t tag() const { return tag_; }

 private:
  friend class BufferRef;
  explicit Buffer(uint32_t size) : size_(size) {}
  char* data() { return reinterpret_cast<char*>(this + 1); }

  uint32_t count_ = 1;
  uint32_t size_;
  uint64_t tag_ = 0;
};

class BufferRef {
 public:
  BufferRef() = default;
  // One allocation; the parts stand one after the other in it.
  static BufferRef concat(std::string_view a, std::string_view b = {}, std::string_view c = {}) {
    size_t size = a.size() + b.size() + c.size();
    HF_CHECK(size <= UINT32_MAX);
    void* memory = std::malloc(sizeof(Buffer) + size);
    if (memory == nullptr) throw std::bad_alloc();
    auto* buffer = new (memory) Buffer(uint32_t(size));
    char* to = buffer->data();
    for (std::string_view part : {a, b, c}) {
      if (!part.empty()) std::memcpy(to, part.data(), part.size());
      to += part.size();
    }
    return BufferRef(buffer);
  }
  BufferRef(const BufferRef& other) : buffer_(other.buffer_) {
    if (buffer_ != nullptr) ++buffer_->count_;
  }
  BufferRef(BufferRef&& other) noexcept : buffer_(std::exchange(other.buffer_, nullptr)) {}
  BufferRef& operator=(BufferRef other) noexcept {
    std::swap(buffer_, other.buffer_);
    return *this;
  }
  ~BufferRef() {
    if (buffer_ != nullptr && --buffer_->count_ == 0) std::free(buffer_);
  }
  explicit operator bool() const { return buffer_ != nullptr; }
  std::string_view bytes() const { return buffer_->bytes(); }
  size_t size() const { return buffer_->bytes().size(); }
  // The rule or channel that the bytes belong to, for a choice among queued buffers; 0: none. Set before it is shared.
  uint64_t tag() const { return buffer_->tag(); }
  BufferRef&& tagged(uint64_t tag) && {
    buffer_->tag_ = tag;
    return std::move(*this);
  }
  bool shared() const { return buffer_->count_ > 1; }

 private:
  explicit BufferRef(Buffer* buffer) : buffer_(buffer) {}
  Buffer* buffer_ = nullptr;
};

}  // namespace holdfast
