#include "conf/units.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <span>

namespace holdfast::conf {

namespace {

struct Unit {
  std::string_view name;
  uint64_t factor;
};

// Smallest first.
constexpr std::array kSizeUnits{Unit{"B", 1}, Unit{"KiB", 1u << 10}, Unit{"MiB", 1u << 20},
                                Unit{"GiB", 1u << 30}};
constexpr std::array kDurationUnits{Unit{"ms", 1}, Unit{"s", 1000}, Unit{"m", 60'000},
                                    Unit{"h", 3'600'000}};

Quantity failed(std::string error) {
  return {0, std::move(error)};
}

Quantity parse(std::string_view text, std::span<const Unit> units) {
  uint64_t number = 0;
  auto [end, code] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (code == std::errc::invalid_argument) return failed("does not start with a number");
  if (code != std::errc()) return failed("too large");
  std::string_view name = text.substr(size_t(end - text.data()));
  if (name.starts_with(' ')) name.remove_prefix(1);
  if (name.empty()) return failed("no unit");
  auto unit =
      std::find_if(units.begin(), units.end(), [&](const Unit& u) { return u.name == name; });
  if (unit == units.end()) return failed(fmt::format("unknown unit \"{}\"", name));
  uint64_t value = 0;
  if (__builtin_mul_overflow(number, unit->factor, &value)) return failed("too large");
  return {value, ""};
}

// `zero` is the unit of 0, which every unit divides.
std::string format(uint64_t value, std::span<const Unit> units, std::string_view space,
                   const Unit& zero) {
  if (value == 0) return fmt::format("0{}{}", space, zero.name);
  const Unit* best = &units[0];
  for (const Unit& unit : units) {
    if (value % unit.factor == 0) best = &unit;
  }
  return fmt::format("{}{}{}", value / best->factor, space, best->name);
}

}  // namespace

Quantity parse_size(std::string_view text) {
  return parse(text, kSizeUnits);
}

Quantity parse_duration(std::string_view text) {
  return parse(text, kDurationUnits);
}

std::string format_size(uint64_t bytes) {
  return format(bytes, kSizeUnits, " ", kSizeUnits[0]);
}

std::string format_duration(uint64_t ms) {
  return format(ms, kDurationUnits, "", kDurationUnits[1]);
}

}  // namespace holdfast::conf
