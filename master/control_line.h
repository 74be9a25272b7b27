// master/control_line.h - the words of the control socket: pure, no socket.
//
// Request: one line, at most 256 bytes with its end. Answer: "ok TEXT" or "error TEXT", then detail
// lines, then end of file.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "master/commands.h"

namespace holdfast::master {

inline constexpr size_t kMaxRequestBytes = 256;

enum class Request : uint8_t { reload, upgrade, stop, quit, reopen_logs, ping };

std::optional<Request> parse_request(std::string_view word);

// Collects one request line from what arrives piece by piece.
class RequestLine {
 public:
  enum class State : uint8_t { more, whole, too_long };
  // Takes the bytes that arrived. Those after the line end are left out: there is one request a
  // connection.
  State feed(std::string_view bytes);
  // The peer sends no more: the bytes so far count as the line.
  State end();
  // The line without its end (\n or \r\n).
  const std::string& text() const { return text_; }

 private:
  std::string text_;
  bool whole_ = false;
};

// As it goes over the wire. Line breaks inside details become lines of their own, inside the text
// spaces.
std::string wire_text(const Answer& answer);

}  // namespace holdfast::master
