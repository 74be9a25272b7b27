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

// What others call our units, in lower case.
struct Other {
  std::string_view name, ours;
};
constexpr std::array kOtherSizes{
    Other{"k", " KiB"},   Other{"kb", " KiB"},  Other{"kib", " KiB"}, Other{"m", " MiB"},
    Other{"mb", " MiB"},  Other{"mib", " MiB"}, Other{"g", " GiB"},   Other{"gb", " GiB"},
    Other{"gib", " GiB"}, Other{"b", " B"},     Other{"byte", " B"},  Other{"bytes", " B"},
    Other{"ki", " KiB"},  Other{"mi", " MiB"},  Other{"gi", " GiB"},  Other{"", " B"}};
constexpr std::array kOtherDurations{
    Other{"sec", "s"},     Other{"secs", "s"},    Other{"second", "s"},
    Other{"seconds", "s"}, Other{"min", "m"},     Other{"mins", "m"},
    Other{"minute", "m"},  Other{"minutes", "m"}, Other{"hr", "h"},
    Other{"hrs", "h"},     Other{"hour", "h"},    Other{"hours", "h"},
    Other{"msec", "ms"},   Other{"millis", "ms"}, Other{"milliseconds", "ms"},
    Other{"", "s"},        Other{"ms", "ms"},     Other{"s", "s"},
    Other{"m", "m"},       Other{"h", "h"}};

// In our words, or "".
std::string translated(std::string_view text, std::span<const Other> others) {
  size_t end = std::min(text.find_first_not_of("0123456789"), text.size());
  std::string unit;
  for (char c : text.substr(end))
    if (c != ' ') unit += c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c;
  for (const Other& other : others)
    if (end > 0 && other.name == unit) return fmt::format("{}{}", text.substr(0, end), other.ours);
  return {};
}

std::string did_you_mean(std::string_view text, std::span<const Other> others) {
  std::string ours = translated(text, others);
  return ours.empty() ? ours : fmt::format(", did you mean \"{}\"?", ours);
}

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

std::string size_hint(std::string_view text) {
  return did_you_mean(text, kOtherSizes);
}

std::string duration_hint(std::string_view text) {
  return did_you_mean(text, kOtherDurations);
}

std::string quantity_hint(std::string_view text) {
  if (text.find_first_not_of("0123456789 ") == std::string_view::npos) return {};
  std::string size = translated(text, kOtherSizes);
  bool duration_too = text.ends_with('m') || text.ends_with('M');  // minutes, more likely
  return size.empty() || duration_too ? translated(text, kOtherDurations) : size;
}

std::string format_size(uint64_t bytes) {
  return format(bytes, kSizeUnits, " ", kSizeUnits[0]);
}

std::string format_duration(uint64_t ms) {
  return format(ms, kDurationUnits, "", kDurationUnits[1]);
}

}  // namespace holdfast::conf
