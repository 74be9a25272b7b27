// wire/fcgi/records.h - FastCGI records (FastCGI Specification 1.0, 3.3 to 6.3). Pure bytes.
//
//   0               1               2               3
//   +---------------+---------------+-------------------------------+
//   | version = 1   | type          | request id, big-endian        |
//   +---------------+---------------+---------------+---------------+
//   | content bytes, big-endian     | padding bytes | reserved      |
//   +-------------------------------+---------------+---------------+
//   | content ...                     padding ...                   |
//   +---------------------------------------------------------------+
//
// A connection carries one request at a time, always with id 1: php-fpm does not multiplex.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>
#include "wire/fcgi/record.h"

namespace holdfast::fcgi {

// Section 3.4: lengths of 1 byte below 128, else 4 bytes with the top bit set.
void append_param(std::string& out, std::string_view name, std::string_view value);

// A whole request as responder: BEGIN_REQUEST, PARAMS..., empty PARAMS, STDIN..., empty STDIN. A
// record ends between two pairs wherever they allow it, because php-fpm refuses a pair that goes on
// in the next record (the specification allows it); a record is at most 65,528 bytes, because
// php-fpm refuses more than 65,535 with padding.
std::string encode_request(std::string_view params, std::string_view body, bool keep_connection);
// Changes FCGI_KEEP_CONN in the result of encode_request().
void set_keep_connection(std::string& request, bool keep_connection);
// encode_request() ends with an empty STDIN record of this size.
inline constexpr size_t kTerminatorBytes = 8;
// It begins with a BEGIN_REQUEST record, where the flags are.
inline constexpr size_t kMinRequestBytes = 16 + kTerminatorBytes;

enum class ProtocolStatus : uint8_t {
  request_complete = 0,
  cant_mpx_conn = 1,
  overloaded = 2,
  unknown_role = 3
};

// A server's answer, record by record.
class RecordSink {
 public:
  virtual bool on_stdout(std::string_view bytes) = 0;  // false: stop
  virtual bool on_stderr(std::string_view bytes) = 0;
  // After the padding of END_REQUEST; nothing follows.
  virtual void on_end(uint32_t app_status, ProtocolStatus status) = 0;

 protected:
  ~RecordSink() = default;
};

// Any division of the same bytes gives the same calls (STDOUT and STDERR chunks may be divided
// differently).
class RecordReader {
 public:
  // False: the sink said stop, or the bytes are no FastCGI answer to request 1 (wrong version,
  // other id, unknown type, unknown protocol status, bytes after END_REQUEST); the connection is of
  // no more use, and only reset() helps. Management records (id 0) are skipped.
  bool feed(std::string_view bytes, RecordSink& sink);
  void reset();  // for the next request of the connection
  // To go on elsewhere in the middle of an answer. False: no reader can be in such a state.
  ReaderRecord save() const;
  bool restore(const ReaderRecord& record);

 private:
  enum class Part : uint8_t { header, content, padding, ended, broken };

  bool take(std::string_view& bytes, RecordSink& sink);
  bool open_record();
  bool take_content(std::string_view bytes, RecordSink& sink);
  bool finish_record(RecordSink& sink);

  Part part_ = Part::header;
  uint8_t type_ = 0;
  uint8_t padding_left_ = 0;
  uint8_t held_ = 0;  // bytes in hold_
  uint16_t content_left_ = 0;
  std::array<char, 8> hold_{};  // a header, or the body of END_REQUEST, that came in pieces
};

// CGI header (RFC 3875 section 6.3) at the start of a response.
struct CgiHead {
  // From "Status:". Without one 302 if "Location:" names a scheme (section 6.2.3), else 200.
  int status = 200;
  // As sent, "Status" left out.
  std::vector<std::pair<std::string, std::string>> headers;
  size_t body_offset = 0;
};
// need_more: no blank line yet. malformed: no header, whatever follows; `head` is then half filled.
enum class CgiParse : uint8_t { complete, need_more, malformed };
CgiParse parse_cgi_head(std::string_view text, CgiHead* head);

}  // namespace holdfast::fcgi
