// ctl/chunked.h - the body of an answer in chunks (RFC 9112 section 7.1): bytes in, content out.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "base/result.h"

namespace holdfast::ctl {

class ChunkedReader {
 public:
  // Appends the content in `bytes` to `out`. Errc::bad_input: not chunks; nothing can be read after
  // that.
  Result<void> feed(std::string_view bytes, std::string& out);
  // The last chunk has come. Bytes after it are passed over.
  bool at_end() const { return state_ == State::end; }

 private:
  enum class State : uint8_t { size, extension, size_end, content, content_cr, content_lf, end };
  Result<void> one(char c);
  Result<void> digit(char c);

  State state_ = State::size;
  uint64_t left_ = 0;  // of the chunk
  unsigned digits_ = 0;
};

}  // namespace holdfast::ctl
