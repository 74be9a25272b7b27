#include "ctl/units.h"

#include <cmath>

#include <fmt/format.h>
#include <simdjson.h>
#include <time.h>

namespace holdfast::ctl {
namespace {

bool starts_code_point(char c) {
  return (static_cast<unsigned char>(c) & 0xc0) != 0x80;
}

// C0, DEL, or the first byte of a C1 control (C2 80 .. C2 9F) at `i`.
bool control_at(std::string_view text, size_t i) {
  auto c = static_cast<unsigned char>(text[i]);
  if (c < 0x20 || c == 0x7f) return true;
  return c == 0xc2 && i + 1 < text.size() && static_cast<unsigned char>(text[i + 1]) < 0xa0;
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

std::string printable(std::string_view text) {
  bool utf8 = simdjson::validate_utf8(text.data(), text.size());
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    bool c1 = static_cast<unsigned char>(text[i]) == 0xc2;
    if (control_at(text, i)) {
      out += '?';
      if (utf8 && c1) ++i;  // its second byte
    } else {
      out += utf8 || static_cast<unsigned char>(text[i]) < 0x80 ? text[i] : '?';
    }
  }
  return out;
}

size_t display_width(std::string_view text) {
  size_t width = 0;
  for (char c : text) width += starts_code_point(c);
  return width;
}

}  // namespace holdfast::ctl
