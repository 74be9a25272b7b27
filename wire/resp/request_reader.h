// wire/resp/request_reader.h - requests of a Redis client: an array of bulk strings, or one line of
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
//   I3  A request that is longer than its bound, or has more arguments, is passed over as it comes, without being kept, if it
//       announces an end within kMaxSkippedBytes: its end is known, so the bytes after it can be trusted.
//   I4  After an error the stream cannot be trusted: the reader answers the same until next().
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace holdfast::resp {

inline constexpr size_t kMaxArguments = 16'384;
inline constexpr size_t kMaxSkippedArguments = 1'048'576;       // of one that is passed over
inline constexpr uint64_t kMaxSkippedBytes = 64 * 1024 * 1024;  // of it
inline constexpr size_t kMaxLineBytes = 64 * 1024;              // of a request that is a line
// Of a caller that is not authenticated yet (Redis's own numbers).
inline constexpr size_t kMaxStrangerArguments = 10;
inline constexpr size_t kMaxStrangerBulkBytes = 16'384;

struct Bounds {
  size_t request_bytes;   // from the first byte of a request to its last
  bool stranger = false;  // not authenticated, which is needed
};

using Arguments = std::span<const std::string_view>;

class RequestReader {
 public:
  enum class Status : uint8_t {
    need_more,
    complete,  // arguments() has one or more
    empty,     // a request without arguments: it has no answer
    too_long,  // a request that has been passed over; error() has its bound
    error,     // error() has the reason
  };

  // Looks for a request at the beginning of `bytes`. After need_more, and again after complete until
  // next() is called: with the same bytes, possibly at another place in memory, and perhaps more; but
  // without the first skipped() of them.
  Status read(std::string_view bytes, const Bounds& bounds);
  // The request is done with, or given up: the next read() begins with another one.
  void next();

  // After complete; valid until read() or next() is called, or the bytes go.
  Arguments arguments() const { return arguments_; }
  size_t used() const {
    return at_;
  }  // after complete, empty and too_long: bytes the request takes
  // After need_more: so many bytes are to be forgotten before the next read().
  size_t skipped() const { return skipping() ? at_ : 0; }
  // As a Redis server words it, without "ERR Protocol error: ".
  const std::string& error() const { return error_; }
  // Has some of a request come, but not all?
  bool started() const { return started_ && status_ == Status::need_more; }

  // A request that is being passed over, between two read(): the state that another reader needs to go on with it.
  struct Skip {
    uint64_t arguments = 0;  // it has; 0: there is none
    uint64_t missing = 0;    // of them
    uint64_t bytes = 0;      // of the whole, as far as is known
    uint64_t left = 0;       // of the argument that is passed over, its CR LF included
    uint64_t bound = 0;      // of bytes; 0: it has too many arguments
  };
  const Skip& skip() const { return skip_; }
  void go_on_with(const Skip& skip);

 private:
  struct Place {
    uint32_t at, size;
  };
  static constexpr int64_t kUnknown = -1;
  bool skipping() const { return skip_.arguments > 0; }

  Status read_array(std::string_view bytes, const Bounds& bounds);
  Status read_count(std::string_view bytes, const Bounds& bounds);
  Status read_bulk_length(std::string_view bytes, const Bounds& bounds);
  Status read_bulk(std::string_view bytes);
  Status begin_skip(const Skip& skip, std::string_view bytes);
  Status skip_on(std::string_view bytes);
  Status skip_length(std::string_view bytes);
  Status skip_bulk(std::string_view bytes);
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
  uint64_t count_ = 0;          // arguments of the array
  Skip skip_;
  std::vector<Place> places_;  // of the arguments, in the caller's bytes or in words_
  std::string words_;          // line: its words one after the other
  bool in_words_ = false;
  std::vector<std::string_view> arguments_;
  std::string error_;
};

}  // namespace holdfast::resp
