#include "ctl/watch.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "ctl/instance.h"

namespace holdfast::ctl {
namespace {

size_t screen_rows() {
  winsize size{};
  return ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 ? size.ws_row : 0;
}

// Over the last look, line by line, so that nothing flickers.
std::string redrawn(const std::string& text) {
  std::string out = "\033[H";
  for (char c : text) {
    if (c == '\n') out += "\033[K";
    out += c;
  }
  return out + "\033[J";
}

}  // namespace

std::string cut_to_height(const std::string& text, size_t rows) {
  auto lines = size_t(std::count(text.begin(), text.end(), '\n'));
  if (rows < 3 || lines < rows) return text;
  size_t at = 0;
  for (size_t line = 0; line + 2 < rows; ++line) at = text.find('\n', at) + 1;
  return text.substr(0, at) + fmt::format("... {} more lines\n", lines - (rows - 2));
}

Watch::Watch(bool once, double interval_s, bool clear)
    : clear_(!once && clear && isatty(STDOUT_FILENO) == 1), interval_s_(interval_s) {
  sigemptyset(&ending_);
  sigaddset(&ending_, SIGINT);
  sigaddset(&ending_, SIGTERM);
  if (!once) sigprocmask(SIG_BLOCK, &ending_, nullptr);
}

ExitCode Watch::show(const std::string& text) {
  if (!clear_) return print(text);
  std::string out = first_ ? "\033[2J" : "";
  first_ = false;
  return print(out + redrawn(cut_to_height(text, screen_rows())));
}

bool Watch::next() {
  uint64_t end_ns = monotonic_ns() + uint64_t(interval_s_ * 1e9);
  for (;;) {
    uint64_t now = monotonic_ns();
    if (now >= end_ns) return true;
    timespec left{.tv_sec = time_t((end_ns - now) / 1'000'000'000),
                  .tv_nsec = long((end_ns - now) % 1'000'000'000)};
    // EAGAIN: the time is over. EINTR: another signal's handler ran (a resumed SIGSTOP, say).
    if (sigtimedwait(&ending_, nullptr, &left) > 0) return false;
    if (errno != EINTR && errno != EAGAIN) return false;
  }
}

}  // namespace holdfast::ctl
