#include "master/control_line.h"

#include <algorithm>

namespace holdfast::master {

std::optional<Request> parse_request(std::string_view word) {
  if (word == "reload") return Request::reload;
  if (word == "upgrade") return Request::upgrade;
  if (word == "stop") return Request::stop;
  if (word == "quit") return Request::quit;
  if (word == "reopen-logs") return Request::reopen_logs;
  if (word == "ping") return Request::ping;
  return std::nullopt;
}

RequestLine::State RequestLine::feed(std::string_view bytes) {
  if (whole_) return State::whole;
  size_t end = bytes.find('\n');
  text_.append(bytes.substr(0, end));
  if (text_.size() >= kMaxRequestBytes) return State::too_long;
  if (end == std::string_view::npos) return State::more;
  return this->end();
}

RequestLine::State RequestLine::end() {
  if (!text_.empty() && text_.back() == '\r') text_.pop_back();
  whole_ = true;
  return State::whole;
}

std::string wire_text(const Answer& answer) {
  std::string text = answer.text;
  std::replace(text.begin(), text.end(), '\n', ' ');
  std::string wire = (answer.ok ? "ok " : "error ") + text + "\n";
  for (const std::string& detail : answer.details) wire += detail + "\n";
  return wire;
}

}  // namespace holdfast::master
