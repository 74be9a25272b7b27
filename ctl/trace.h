// ctl/trace.h - `holdfastctl trace`: live lines about the events of a session, a user or a channel.
//
// GET /v1/trace answers in chunks without an end, one JSON object a line. The stream ends with the
// worker that feeds it (a reload, a crash); then another worker is asked, and the events of the
// meantime are missing. A stream that keeps ending at once is given up.
//
//   connected  -> head 200 -> lines ... -> end of the stream -> connect again
//                 other status -> exit 1           Ctrl-C, --duration -> exit 0
#pragma once

#include <string>
#include <string_view>

#include "base/result.h"
#include "ctl/http_client.h"
#include "ctl/options.h"

namespace holdfast::ctl {

inline constexpr size_t kMaxTraceLine = 256 * 1024;

// "/v1/trace?session=..."
std::string trace_path(const Options& options);
// One line of the stream as people read it; Errc::bad_input if it is not the JSON it should be.
// `session_known`: it is a session's own trace, so its id is only hinted at.
Result<std::string> trace_text(std::string_view line, bool session_known);

// The answer of a trace, bytes in, lines out.
class TraceReader {
 public:
  // Appends to `lines` those that are whole, each with its line end.
  Result<void> feed(std::string_view bytes, std::string& lines);
  // No more bytes will come.
  Result<void> end();
  // 0 until the head is there.
  int status() const { return reader_.status(); }
  bool at_end() const { return at_end_; }
  // After at_end(), of an answer that is none of lines.
  HttpAnswer answer() { return reader_.answer(); }

 private:
  AnswerReader reader_;
  bool at_end_ = false;
  std::string tail_;  // the beginning of a line
};

ExitCode run_trace(const Options& options);

}  // namespace holdfast::ctl
