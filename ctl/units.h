// ctl/units.h - numbers as people read them.
//
// Pure functions of their arguments; nothing here knows where a number came from. Output for
// programs (--json) never passes through this file.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::ctl {

std::string human_count(uint64_t n);          // 1234567 -> "1,234,567"
std::string human_bytes(uint64_t bytes);      // 1536 -> "1.5 KiB"; below 1024 "N B"
std::string human_rate(double per_second);    // "0", "3.5", "1,234"
std::string human_micros(uint64_t us);        // "850 us", "1.2 ms", "3.4 s"
std::string human_duration_ms(uint64_t ms);   // "120 ms", "3.4 s", "2m 05s", "3h 07m", "12d 04h"
std::string human_wall_ms(uint64_t wall_ms);  // "2024-05-01 12:30:00" in local time; "-" for 0

// At most 5 columns, for tables that must fit: "9999", "12.3k", "1.2M"; bytes "1023", "1.5K".
std::string short_count(uint64_t n);
std::string short_bytes(uint64_t bytes);
std::string short_rate(double per_second);  // "0", "3.5", "120", "12.3k"

// Fit for a terminal: control characters, those that turn the direction of a line, and bytes that
// are not UTF-8 become '?'. Names come from clients.
std::string printable(std::string_view text);
// Columns of a terminal that printable text takes: East Asian wide characters two, marks none.
size_t display_width(std::string_view text);
// The beginning of it that fits, with a mark after it if something is missing.
std::string cut_to_width(std::string_view text, size_t columns);

}  // namespace holdfast::ctl
