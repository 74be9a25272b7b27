#include "ctl/units.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <time.h>

#include <algorithm>
#include <cmath>
#include <span>

namespace holdfast::ctl {
namespace {

// One UTF-8 character of `text` at `at`, which is moved behind it. 0xfffd for what is none.
char32_t next_code_point(std::string_view text, size_t* at) {
  auto lead = static_cast<unsigned char>(text[(*at)++]);
  if (lead < 0x80) return lead;
  size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
  if (lead < 0xc2 || lead > 0xf4) return 0xfffd;
  char32_t code = lead & (0x3fu >> more);
  for (; more > 0; --more) {
    if (*at == text.size() || (static_cast<unsigned char>(text[*at]) & 0xc0) != 0x80) return 0xfffd;
    code = code << 6 | (static_cast<unsigned char>(text[(*at)++]) & 0x3fu);
  }
  return code;
}

struct Range {
  char32_t first, last;
};

bool lies_in(std::span<const Range> ranges, char32_t code) {
  return std::any_of(ranges.begin(), ranges.end(),
                     [code](Range r) { return r.first <= code && code <= r.last; });
}

// C0, DEL, C1; line and paragraph separators; marks, embeddings and isolates of direction.
constexpr Range kSteering[] = {{0, 0x1f},        {0x7f, 0x9f},     {0x200e, 0x200f},
                               {0x2028, 0x202e}, {0x2066, 0x2069}, {0x61c, 0x61c}};
// What stands upon the character before it, and zero width joiners.
constexpr Range kNoColumn[] = {{0x300, 0x36f},   {0x483, 0x489},   {0x591, 0x5bd},
                               {0x64b, 0x65f},   {0x200b, 0x200d}, {0x20d0, 0x20ff},
                               {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0x1f3fb, 0x1f3ff}};
// East Asian wide and full width (UAX 11), and emoji.
constexpr Range kTwoColumns[] = {
    {0x1100, 0x115f},   {0x2e80, 0x303e},   {0x3041, 0xa4cf},  {0xa960, 0xa97f}, {0xac00, 0xd7a3},
    {0xf900, 0xfaff},   {0xfe30, 0xfe6f},   {0xff00, 0xff60},  {0xffe0, 0xffe6}, {0x1f300, 0x1f64f},
    {0x1f680, 0x1f6ff}, {0x1f900, 0x1faff}, {0x20000, 0x3fffd}};

size_t columns_of(char32_t code) {
  if (lies_in(kNoColumn, code)) return 0;
  return lies_in(kTwoColumns, code) ? 2 : 1;
}

// Three significant digits, in the largest of the units (each `step` times the one before) that
// leaves at least 1. Below the first unit the number as it is.
std::string shortened(double value, double step, std::string_view units) {
  size_t unit = 0;
  value /= step;
  // 999.5 would be printed as "1000".
  while (value >= 999.5 && unit + 1 < units.size()) {
    value /= step;
    ++unit;
  }
  return fmt::format("{:.{}f}{}", value, value < 99.95 ? 1 : 0, units[unit]);
}

}  // namespace

std::string human_count(uint64_t n) {
  std::string digits = std::to_string(n);
  for (size_t at = digits.size(); at > 3;) digits.insert(at -= 3, 1, ',');
  return digits;
}

std::string human_bytes(uint64_t bytes) {
  if (bytes < 1024) return fmt::format("{} B", bytes);
  static constexpr const char* kUnits[] = {"KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  double value = double(bytes) / 1024;
  size_t unit = 0;
  // 1023.95 would be printed as "1024.0".
  while (value >= 1023.95 && unit + 1 < std::size(kUnits)) {
    value /= 1024;
    ++unit;
  }
  return fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string human_rate(double per_second) {
  if (per_second <= 0) return "0";
  if (per_second < 99.95) return fmt::format("{:.1f}", per_second);
  return human_count(uint64_t(std::llround(per_second)));
}

std::string human_micros(uint64_t us) {
  if (us < 1000) return fmt::format("{} us", us);
  if (us < 999'950) return fmt::format("{:.1f} ms", double(us) / 1e3);
  return fmt::format("{:.1f} s", double(us) / 1e6);
}

std::string human_duration_ms(uint64_t ms) {
  if (ms < 1000) return fmt::format("{} ms", ms);
  uint64_t s = ms / 1000;
  if (s < 60) return fmt::format("{}.{} s", s, ms % 1000 / 100);
  if (s < 3600) return fmt::format("{}m {:02}s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{}h {:02}m", s / 3600, s / 60 % 60);
  return fmt::format("{}d {:02}h", s / 86'400, s / 3600 % 24);
}

std::string human_wall_ms(uint64_t wall_ms) {
  if (wall_ms == 0) return "-";
  auto seconds = time_t(wall_ms / 1000);
  tm local{};
  char text[32];
  if (localtime_r(&seconds, &local) == nullptr) return "-";
  size_t size = strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S", &local);
  return {text, size};
}

std::string short_count(uint64_t n) {
  return n < 10'000 ? std::to_string(n) : shortened(double(n), 1000, "kMGTPE");
}

std::string short_bytes(uint64_t bytes) {
  return bytes < 1024 ? std::to_string(bytes) : shortened(double(bytes), 1024, "KMGTPE");
}

std::string short_rate(double per_second) {
  return per_second < 99.95 ? human_rate(per_second)
                            : short_count(uint64_t(std::llround(per_second)));
}

std::string printable(std::string_view text) {
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  std::string out;
  for (size_t i = 0; i < text.size();) {
    size_t from = i;
    char32_t code = static_cast<unsigned char>(text[i]);
    if (utf8)
      code = next_code_point(text, &i);
    else
      ++i;
    if (lies_in(kSteering, code) || (!utf8 && code >= 0x80))
      out += '?';
    else
      out += text.substr(from, i - from);
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (size_t i = 0; i < text.size();) width += columns_of(next_code_point(text, &i));
  return width;
}

std::string cut_to_width(std::string_view text, size_t columns) {
  if (display_width(text) <= columns) return std::string(text);
  if (columns == 0) return "";
  size_t width = 1, end = 0;  // of the mark
  for (size_t i = 0; i < text.size(); end = i) {
    width += columns_of(next_code_point(text, &i));
    if (width > columns) break;
  }
  return std::string(text.substr(0, end)) + "\u2026";
}

}  // namespace holdfast::ctl
