// worker/resp/request_reader.h - requests of a Redis client: an array of bulk strings, or one line of
// words. Pure bytes.
//
//   *2 CRLF  $4 CRLF PING CRLF  $2 CRLF hi CRLF      PING "hi" CRLF
//
// The caller keeps the bytes until a request is whole; the reader keeps where it is in them, so a big
// request that comes in many pieces is looked at once. Arguments are views into the caller's bytes
// (those of a line, whose quotes and escapes go, into the reader's own).
//
// Invariants
//   I1  Any division of the same bytes gives the same requests, and the same error.
//   I2  A length is judged as soon as it is known; nothing is kept for arguments that have not come.
//   I3  After an error the stream cannot be trusted: the reader answers the same until next().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::resp {

inline constexpr size_t kMaxArguments = 16'384;
inline constexpr size_t kMaxLineBytes = 64 * 1024;  // of a request that is a line
// Of somebody who has not said yet who he is (Redis's own numbers).
inline constexpr size_t kMaxStrangerArguments = 10;
inline constexpr size_t kMaxStrangerBulkBytes = 16'384;

struct Bounds {
  size_t request_bytes;   // from the first byte of a request to its last
  bool stranger = false;  // not authenticated where that is needed
};

using Arguments = std::span<const std::string_view>;

class RequestReader {
 public:
  enum class Status : uint8_t {
    need_more,
    complete,  // arguments() has one or more
    empty,     // a request without arguments: it has no answer
    error,     // error() says why
  };

  // Looks for a request at the beginning of `bytes`. After need_more, and again after complete until
  // next() is called: with the same bytes, possibly at another place in memory, and perhaps more.
  Status read(std::string_view bytes, const Bounds& bounds);
  // The request is done with, or given up: the next read() begins with another one.
  void next();

  // After complete; valid until read() or next() is called, or the bytes go.
  Arguments arguments() const { return arguments_; }
  size_t used() const { return at_; }  // after complete and empty: bytes the request takes
  // As a Redis server words it, without "ERR Protocol error: ".
  const std::string& error() const { return error_; }
  // Has some of a request come, but not all?
  bool started() const { return started_ && status_ == Status::need_more; }

 private:
  struct Place {
    uint32_t at, size;
  };
  static constexpr int64_t kUnknown = -1;

  Status read_array(std::string_view bytes, const Bounds& bounds);
  Status read_count(std::string_view bytes, const Bounds& bounds);
  Status read_bulk_length(std::string_view bytes, const Bounds& bounds);
  Status read_bulk(std::string_view bytes);
  Status read_line(std::string_view bytes, const Bounds& bounds);
  Status split(std::string_view line);
  Status fail(std::string why);
  void show(std::string_view bytes);

  Status status_ = Status::need_more;
  bool started_ = false;
  size_t at_ = 0;               // array: everything before it has been understood
  size_t searched_ = 0;         // line: no end before it
  int64_t missing_ = kUnknown;  // arguments of the array that have not come
  int64_t bulk_ = kUnknown;     // bytes of the argument that comes next
  std::vector<Place> places_;   // of the arguments, in the caller's bytes or in words_
  std::string words_;           // line: its words one after the other
  bool in_words_ = false;
  std::vector<std::string_view> arguments_;
  std::string error_;
};

}  // namespace holdfast::resp
