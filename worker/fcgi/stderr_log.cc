#include "worker/fcgi/stderr_log.h"

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

}  // namespace

void StderrLog::write(std::string& partial, std::string_view bytes, std::string_view session) {
  while (!bytes.empty()) {
    size_t end = bytes.find('\n');
    std::string_view piece = bytes.substr(0, end);
    partial.append(piece.substr(0, kMaxLineBytes - partial.size()));
    if (end == std::string_view::npos) return;
    line(partial, session);
    partial.clear();
    bytes.remove_prefix(end + 1);
  }
}

void StderrLog::finish(std::string& partial, std::string_view session) {
  if (!partial.empty()) line(partial, session);
  partial.clear();
}

void StderrLog::line(std::string_view text, std::string_view session) {
  if (!text.empty() && text.back() == '\r') text.remove_suffix(1);
  if (text.empty()) return;
  stats_.backend_stderr_lines.add();
  if (may_speak())
    log_warn("backend stderr backend={} session={}: {}", backend_, session, printable(text));
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
