#include "ctl/screen.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace holdfast::ctl {
namespace {

bool shows_colours() {
  const char* term = std::getenv("TERM");
  return std::getenv("NO_COLOR") == nullptr && term != nullptr && std::string_view(term) != "dumb";
}

}  // namespace

Screen screen() {
  Screen found;
  if (isatty(STDOUT_FILENO) != 1) return found;
  found.terminal = true;
  found.style.colour = shows_colours();
  winsize size{};
  if (ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) != 0) return found;
  found.rows = size.ws_row;
  found.style.width = size.ws_col;
  return found;
}

}  // namespace holdfast::ctl
