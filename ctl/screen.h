// ctl/screen.h - the kind of stdout: a terminal of some size, or something that takes any width.
#pragma once

#include <cstddef>

namespace holdfast::ctl {

// How a text is made for stdout.
struct Style {
  bool colour = false;
  size_t width = 0;  // columns of the terminal; 0: any width will do
};

struct Screen {
  bool terminal = false;
  size_t rows = 0;  // 0: unknown, or no terminal
  Style style;
};

// NO_COLOR and TERM=dumb are respected.
Screen screen();

}  // namespace holdfast::ctl
