#include "ctl/counters.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "conf/report.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "shm/stats.h"

namespace holdfast::ctl {
namespace {

using shm::StatInfo;
using shm::StatKind;
using shm::StatUnit;

constexpr size_t kWidth = 80, kIndent = 4;

constexpr std::string_view kParagraphs[] = {
#define HF_COUNTER(ident, name, unit, sentence, paragraph) paragraph,
#define HF_GAUGE(ident, name, unit, sentence, paragraph) paragraph,
#define HF_HISTOGRAM(ident, name, unit, sentence, paragraph) paragraph,
#include "shm/counters.def"
#undef HF_COUNTER
#undef HF_GAUGE
#undef HF_HISTOGRAM
};

std::string_view kind_text(StatKind kind) {
  switch (kind) {
    case StatKind::counter:
      return "counter";
    case StatKind::gauge:
      return "gauge";
    case StatKind::histogram:
      return "histogram";
  }
  return "unknown";
}

std::string_view unit_text(StatUnit unit) {
  switch (unit) {
    case StatUnit::count:
      return "count";
    case StatUnit::bytes:
      return "bytes";
    case StatUnit::microseconds:
      return "microseconds";
  }
  return "unknown";
}

std::string_view group_of(const StatInfo& info) {
  return info.name.substr(0, info.name.find('.'));
}

bool is_meant(const StatInfo& info, std::string_view name) {
  return info.name == name || group_of(info) == name;
}

std::string no_such_counter(const std::string& name) {
  std::vector<std::string_view> known;
  for (const StatInfo& info : shm::all_stats()) {
    known.push_back(info.name);
    known.push_back(group_of(info));
  }
  return fmt::format("no counter is called \"{}\"{}", printable(name),
                     conf::did_you_mean(name, known));
}

// Lines of at most `width` columns, as far as words allow. ASCII.
std::string wrapped(std::string_view text, size_t width) {
  std::string out, line;
  auto end_line = [&] {
    if (!line.empty()) out.append(kIndent, ' ').append(line).append("\n");
    line.clear();
  };
  while (!text.empty()) {
    std::string_view word = text.substr(0, text.find(' '));
    text.remove_prefix(std::min(text.size(), word.size() + 1));
    if (kIndent + line.size() + 1 + word.size() > width) end_line();
    if (!line.empty()) line += ' ';
    line += word;
  }
  end_line();
  return out;
}

}  // namespace

Result<std::vector<size_t>> find_counters(const std::vector<std::string>& names) {
  auto stats = shm::all_stats();
  for (const std::string& name : names) {
    bool known = std::any_of(stats.begin(), stats.end(),
                             [&](const StatInfo& info) { return is_meant(info, name); });
    if (!known) return Error{Errc::bad_input, 0, no_such_counter(name)};
  }
  std::vector<size_t> which;
  for (size_t i = 0; i < stats.size(); ++i) {
    bool meant = std::any_of(names.begin(), names.end(),
                             [&](const std::string& name) { return is_meant(stats[i], name); });
    if (meant || names.empty()) which.push_back(i);
  }
  return which;
}

std::string_view paragraph_of(size_t index) {
  return index < std::size(kParagraphs) ? kParagraphs[index] : std::string_view();
}

std::string counters_table(const std::vector<size_t>& which, const Style& style) {
  Table table({{"NAME"}, {"KIND"}, {"UNIT"}, {"MEANING", Align::left, 7}});
  for (size_t i : which) {
    const StatInfo& info = shm::all_stats()[i];
    table.row({std::string(info.name), std::string(kind_text(info.kind)),
               std::string(unit_text(info.unit)), std::string(info.sentence)});
  }
  return table.text(style);
}

std::string counters_explained(const std::vector<size_t>& which, const Style& style) {
  size_t width = style.width == 0 ? kWidth : std::min(style.width, kWidth);
  std::string out;
  for (size_t i : which) {
    const StatInfo& info = shm::all_stats()[i];
    std::string name =
        style.colour ? fmt::format("\033[1m{}\033[0m", info.name) : std::string(info.name);
    out += fmt::format("{}{} ({}, {})\n", out.empty() ? "" : "\n", name, kind_text(info.kind),
                       unit_text(info.unit));
    out += wrapped(std::string(info.sentence) + ".", width);
    out += "\n" + wrapped(paragraph_of(i), width);
  }
  return out;
}

std::string counters_json(const std::vector<size_t>& which) {
  Json json;
  json.begin_object().key("counters").begin_array();
  for (size_t i : which) {
    const StatInfo& info = shm::all_stats()[i];
    json.begin_object().member("name", info.name).member("kind", kind_text(info.kind));
    json.member("unit", unit_text(info.unit)).member("sentence", info.sentence);
    json.member("paragraph", paragraph_of(i)).end_object();
  }
  json.end_array().end_object();
  return json.line();
}

ExitCode run_counters(const Options& options) {
  Result<std::vector<size_t>> which = find_counters(options.names);
  if (!which) return fail(options, which.error());
  if (options.json) return print(counters_json(*which));
  Style style = screen().style;
  return print(options.names.empty() ? counters_table(*which, style)
                                     : counters_explained(*which, style));
}

}  // namespace holdfast::ctl
