#include "ctl/stats.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/table.h"
#include "ctl/units.h"
#include "ctl/watch.h"

namespace holdfast::ctl {
namespace {

using shm::StatInfo;
using shm::StatKind;
using shm::StatUnit;

std::string amount(const StatInfo& info, uint64_t n) {
  switch (info.unit) {
    case StatUnit::bytes:
      return human_bytes(n);
    case StatUnit::microseconds:
      return human_micros(n);
    case StatUnit::count:
      break;
  }
  return human_count(n);
}

std::string rate_text(const StatInfo& info, double per_second) {
  if (info.kind == StatKind::gauge) return "";
  return info.unit == StatUnit::bytes ? human_bytes(uint64_t(per_second)) : human_rate(per_second);
}

std::string cells_text(const Snapshot& now, const Snapshot* before, const StatsStyle& style) {
  std::vector<Column> columns{{"NAME"}, {"VALUE", Align::right}};
  if (before != nullptr) columns.push_back({"PER SECOND", Align::right});
  columns.push_back({"MEANING", Align::left, 7});
  Table table(std::move(columns));
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i) {
    if (stats[i].kind == StatKind::histogram) continue;
    if (style.hide_zeros && now.cells[i] == 0) continue;
    std::vector<std::string> cells{std::string(stats[i].name), amount(stats[i], now.cells[i])};
    if (before != nullptr) cells.push_back(rate_text(stats[i], rate(*before, now, i)));
    cells.emplace_back(stats[i].sentence);
    table.row(std::move(cells));
  }
  return table.text(style.screen);
}

std::string histograms_text(const Snapshot& now, const Snapshot* before, const Style& style) {
  Table table({{"NAME"},
               {"COUNT", Align::right},
               {"MEAN", Align::right},
               {"P50", Align::right},
               {"P99", Align::right},
               {"P99.9", Align::right},
               {"MEANING", Align::left, 7}});
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i) {
    if (stats[i].kind != StatKind::histogram) continue;
    HistogramSum h =
        before == nullptr ? now.histograms[i] : now.histograms[i].since(before->histograms[i]);
    table.row({std::string(stats[i].name), human_count(h.count), human_micros(h.mean()),
               human_micros(h.quantile(0.5)), human_micros(h.quantile(0.99)),
               human_micros(h.quantile(0.999)), std::string(stats[i].sentence)});
  }
  return table.empty() ? "" : table.text(style);
}

void write_cells(Json& json, const Snapshot& now, std::string_view key, StatKind kind) {
  json.key(key).begin_object();
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i)
    if (stats[i].kind == kind) json.member(stats[i].name, now.cells[i]);
  json.end_object();
}

void write_rates(Json& json, const Snapshot& before, const Snapshot& now) {
  json.key("rates").begin_object();
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i)
    if (stats[i].kind == StatKind::counter) json.member(stats[i].name, rate(before, now, i));
  json.end_object();
}

void write_histograms(Json& json, const Snapshot& now) {
  json.key("histograms").begin_object();
  auto stats = shm::all_stats();
  for (size_t i = 0; i < stats.size(); ++i) {
    if (stats[i].kind != StatKind::histogram) continue;
    const HistogramSum& h = now.histograms[i];
    json.key(stats[i].name).begin_object();
    json.member("count", h.count).member("sum", h.sum);
    json.member("p50", h.quantile(0.5)).member("p99", h.quantile(0.99));
    json.member("p999", h.quantile(0.999)).end_object();
  }
  json.end_object();
}

std::string render(const Options& options, const Snapshot& now, const Snapshot* before) {
  if (options.json) return stats_json(now, before);
  return stats_text(now, before,
                    {.screen = screen().style, .hide_zeros = options.watch && !options.all});
}

}  // namespace

std::string instance_lines(const Snapshot& now, bool colour) {
  uint64_t wall = wall_ms();
  uint64_t up = wall > now.started_wall_ms ? wall - now.started_wall_ms : 0;
  std::string out = fmt::format("instance {}   version {}   up {}\n", printable(now.instance),
                                printable(now.build), human_duration_ms(up));
  std::string master = now.master_alive ? fmt::format("master pid {}   ", now.master_pid) : "";
  out += fmt::format("{}workers {}   generation {}   node {}\n", master, now.workers,
                     now.generation, now.node);
  if (now.master_alive) return out;
  std::string dead = fmt::format(
      "the master (pid {}) is dead: these are the last values it left behind", now.master_pid);
  return out + (colour ? "\033[1;31m" + dead + "\033[0m\n" : dead + "\n");
}

std::string stats_text(const Snapshot& now, const Snapshot* before, const StatsStyle& style) {
  std::string out = instance_lines(now, style.screen.colour) + "\n";
  out += cells_text(now, before, style);
  return out + "\n" + histograms_text(now, before, style.screen);
}

std::string stats_json(const Snapshot& now, const Snapshot* before) {
  Json json;
  json.begin_object();
  json.member("instance", now.instance).member("version", now.build).member("node", now.node);
  json.member("generation", now.generation).member("started_ms", now.started_wall_ms);
  json.member("reloaded_ms", now.reloaded_wall_ms).member("workers", now.workers);
  json.key("master").begin_object();
  json.member("pid", now.master_pid).member("alive", now.master_alive).end_object();
  write_cells(json, now, "counters", StatKind::counter);
  write_cells(json, now, "gauges", StatKind::gauge);
  write_histograms(json, now);
  if (before != nullptr) write_rates(json, *before, now);
  json.end_object();
  return json.line();
}

ExitCode run_stats(const Options& options) {
  Watch watch(!options.watch, options.interval_ms, !options.json);
  std::optional<Snapshot> before;
  do {
    // Anew for every look: a restarted master has made another segment.
    Result<shm::Segment> segment = find_instance(options);
    if (!segment) return fail_to_find(options, segment.error());
    Snapshot now = take_snapshot(*segment);
    bool same_life = before && now.same_life(*before);
    ExitCode printed = watch.show(render(options, now, same_life ? &*before : nullptr));
    if (printed != kOk) return printed;
    before = std::move(now);
  } while (options.watch && watch.next());
  return kOk;
}

}  // namespace holdfast::ctl
