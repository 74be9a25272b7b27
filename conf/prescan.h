// conf/prescan.h - conditions that a file must meet before the TOML library may see it. Private to conf/.
//
// The library descends one call per bracket and per dotted key part, so a small hostile file could
// end the process by its stack. And it takes bytes that are not UTF-8 as they come.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "conf/node.h"

namespace holdfast::conf {

struct Objection {
  Place place;
  std::string what;
  std::string allowed;
};

// The first reason not to parse `toml`, or empty. Syntax is not its business.
std::optional<Objection> prescan(std::string_view toml);

}  // namespace holdfast::conf
