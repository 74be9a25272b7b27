#include "worker/backends/fcgi/stderr_log.h"

#include "base/clock.h"
#include "base/log.h"

namespace holdfast::fcgi {
namespace {

// A log line stays one line, and a terminal that shows it stays what it was.
std::string printable(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (char c : text) {
    auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte != 0x7f) {
      out.push_back(c);
    } else {
      out += fmt::format("\\x{:02x}", byte);
    }
  }
  return out;
}

uint8_t said_in(std::string_view line) {
  for (std::string_view start :
       {"Primary script unknown", "Unable to open primary script: ", "Access to the script '"})
    if (line.starts_with(start)) return kSaidNotRun;
  constexpr std::string_view kMessage = "PHP message: ";  // where log_errors goes to the server
  if (line.starts_with(kMessage)) line.remove_prefix(kMessage.size());
  for (std::string_view start :
       {"PHP Fatal error:  ", "PHP Parse error:  ", "PHP Recoverable fatal error:  "})
    if (line.starts_with(start)) return kSaidBrokeOff;
  return 0;
}

}  // namespace

uint8_t StderrLog::write(std::string& partial, std::string_view bytes, std::string_view session) {
  uint8_t said = 0;
  while (!bytes.empty()) {
    size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    partial.append(piece.substr(0, kMaxLineBytes - partial.size()));
    if (end == std::string_view::npos) break;
    said |= line(partial, session);
    partial.clear();
    bytes.remove_prefix(end + 1);
  }
  return said;
}

uint8_t StderrLog::finish(std::string& partial, std::string_view session) {
  uint8_t said = partial.empty() ? uint8_t(0) : line(partial, session);
  partial.clear();
  return said;
}

uint8_t StderrLog::line(std::string_view text, std::string_view session) {
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (text.empty()) return 0;
  stats_.backend_stderr_lines.add();
  if (may_speak())
    log_warn("backend stderr backend={} session={}: {}", backend_, session, printable(text));
  return said_in(text);
}

bool StderrLog::may_speak() {
  uint64_t now = monotonic_ms();
  if (now - second_began_ms_ >= 1000) {
    if (kept_back_ > 0)
      log_warn("backend stderr backend={}: {} more lines left out", backend_, kept_back_);
    second_began_ms_ = now;
    lines_ = 0;
    kept_back_ = 0;
  }
  if (lines_ < kLinesPerSecond) return ++lines_ > 0;
  ++kept_back_;
  return false;
}

}  // namespace holdfast::fcgi
