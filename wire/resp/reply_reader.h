// wire/resp/reply_reader.h - replies and pushes of a Redis server, RESP2 and RESP3: the client's side. Pure bytes.
//
//   :12 CRLF      *3 CRLF  $7 CRLF message CRLF  $1 CRLF c CRLF  $2 CRLF hi CRLF
//
// As with RequestReader the caller keeps the bytes until a reply is whole, and the reader keeps where it is in them, so a big reply
// in many pieces is looked at once. Texts are views into the caller's bytes. A reader belongs to one connection.
//
// A reply is told as its elements in the order of the wire: an aggregate, then its elements, which may be aggregates again. A
// map of N has 2 N of them, key and value in turn. Attributes ('|') stand before the element that they speak of and are not counted
// among the elements of an aggregate.
//
// Invariants
//   I1  Any division of the same bytes gives the same replies, and the same error.
//   I2  A length is judged as soon as it is known; nothing is kept for elements that have not come.
//   I3  No reply is longer, deeper or of more elements than its bounds.
//   I4  After an error the stream cannot be trusted: the reader answers the same for good.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>
#include <vector>

#include "wire/resp/number.h"

namespace holdfast::resp {

inline constexpr size_t kMaxReplyDepth = 16;
inline constexpr size_t kMaxReplyLineBytes = 64 * 1024;  // of a status, an error or a number

enum class ReplyKind : uint8_t {
  null,  // in any of its three forms
  status,
  error,  // of a line, or of any bytes
  integer,
  bulk,
  real,  // text() as a number, inf, -inf or nan
  boolean,
  big_number,
  verbatim,  // three letters, a colon, the text
  array,
  set,
  map,
  push,  // not an answer to a request
  attribute
};

struct ReplyElement {
  ReplyKind kind = ReplyKind::null;
  std::string_view text;  // status, error, bulk, real, big number, verbatim
  int64_t number =
      0;  // integer; boolean: 0 or 1; an aggregate: how many elements it has (a map of 3: 6)
  size_t at = 0;  // of the text, in the caller's bytes
};

struct ReplyBounds {
  size_t bytes = 1024 * 1024;  // from the first byte of a reply to its last
  size_t elements = 16'384;    // of all its aggregates, and they themselves
  size_t depth = 8;            // aggregates in one another, at most kMaxReplyDepth
};

class ReplyReader {
 public:
  enum class Status : uint8_t { need_more, complete, error };

  explicit ReplyReader(const ReplyBounds& bounds = {}) : bounds_(bounds) {}

  // Looks for a reply at the beginning of `bytes`. After need_more, and again after complete until next() is called: with the
  // same bytes, possibly at another place in memory, and perhaps more.
  Status read(std::string_view bytes);
  // The reply is done with: the next read() begins with another one.
  void next();

  // After complete; the first is the reply itself (or its attributes). Valid until read() or next() is called, or the bytes go.
  std::span<const ReplyElement> elements() const { return elements_; }
  size_t used() const { return at_; }  // after complete: bytes the reply takes
  // A few words that outlive everything; after error.
  std::string_view error_text() const { return error_; }

 private:
  static constexpr int64_t kUnknown = -1;

  Status read_element(std::string_view bytes);
  Status read_line(std::string_view bytes, ReplyKind kind);
  Status read_integer(std::string_view bytes);
  Status read_short(std::string_view bytes, char kind);
  Status read_blob(std::string_view bytes, char kind);
  Status read_blob_length(std::string_view bytes, bool may_be_null);
  Status read_aggregate(std::string_view bytes, char kind);
  Status open(ReplyKind kind, uint64_t size, size_t behind);
  Status add(const ReplyElement& element, size_t behind);
  Status fail(std::string_view why);

  ReplyBounds bounds_;
  Status status_ = Status::need_more;
  size_t at_ = 0;            // everything before it has been understood
  size_t searched_ = 0;      // line: no end before it
  int64_t blob_ = kUnknown;  // bytes of the blob that comes next
  size_t blob_at_ = 0;       // where they begin
  uint64_t promised_ = 1;    // elements of the reply, as far as its aggregates have come
  size_t depth_ = 1;         // of missing_
  // Elements that have not come: the reply itself, then those of its aggregates, the innermost last.
  std::array<uint64_t, kMaxReplyDepth + 1> missing_{1};
  std::vector<ReplyElement> elements_;
  std::string_view error_;
};

}  // namespace holdfast::resp
