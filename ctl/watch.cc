#include "ctl/watch.h"

#include <fmt/format.h>

#include <algorithm>

#include "ctl/instance.h"
#include "ctl/screen.h"

namespace holdfast::ctl {
namespace {

// Over the last look, line by line, so that nothing flickers. A line is erased before it is
// written: behind one that fills the screen's width the cursor still stands on its last character.
std::string redrawn(const std::string& text) {
  std::string out = "\033[H\033[K";
  for (char c : text) {
    out += c;
    if (c == '\n') out += "\033[K";
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

Watch::Watch(bool once, uint64_t interval_ms, bool clear)
    : clear_(!once && clear && screen().terminal), interval_ms_(interval_ms) {
  if (!once) ending_.emplace();
}

ExitCode Watch::show(const std::string& text) {
  if (!clear_) return print(text);
  std::string out = first_ ? "\033[2J" : "";
  first_ = false;
  return print(out + redrawn(cut_to_height(text, screen().rows)));
}

bool Watch::next() {
  return ending_ && ending_->wait(-1, interval_ms_) == Ending::Woke::timeout;
}

}  // namespace holdfast::ctl
