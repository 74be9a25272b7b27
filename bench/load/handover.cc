#include "bench/load/handover.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <chrono>
#include <filesystem>
#include <fstream>

#include "base/clock.h"
#include "ctl/control.h"
#include "ctl/json.h"

namespace holdfast::bench {
namespace {

double ms(uint64_t ns) {
  return double(ns) / 1e6;
}

void pause(uint32_t pause_ms) {
  std::this_thread::sleep_for(std::chrono::milliseconds(pause_ms));
}

off_t size_of(const std::string& file) {
  std::error_code error;
  auto bytes = std::filesystem::file_size(file, error);
  return error ? 0 : off_t(bytes);
}

// The number behind `key`.
bool number_in(std::string_view line, std::string_view key, uint64_t* number) {
  size_t at = line.find(key);
  if (at == std::string_view::npos) return false;
  const char* begin = line.data() + at + key.size();
  return std::from_chars(begin, line.data() + line.size(), *number).ec == std::errc{};
}

// Of a window that is open still.
Silences silences_in(const SilenceBoard& board, uint32_t window) {
  Silences silences;
  std::vector<uint64_t> longest;
  for (uint32_t m = 0; m < board.members(); ++m) {
    uint64_t ended = board.longest_ns(window, m), last = board.last_ns(m), now = monotonic_ns();
    longest.push_back(std::max(ended, now > last ? now - last : 0));
    if (ended == 0) ++silences.deaf;
  }
  std::sort(longest.begin(), longest.end());
  silences.max_ms = ms(longest.back());
  silences.median_ms = ms(longest[longest.size() / 2]);
  return silences;
}

HandedOver handed_over_since(const std::string& file, off_t begin) {
  HandedOver sum;
  std::ifstream log(file);
  log.seekg(begin);
  for (std::string line; std::getline(log, line);) add_handed_over(line, &sum);
  return sum;
}

void write_silences(ctl::Json& json, std::string_view key, const Silences& silences) {
  json.key(key).begin_object().member("max_ms", silences.max_ms);
  json.member("median_ms", silences.median_ms).member("deaf", silences.deaf).end_object();
}

}  // namespace

bool add_handed_over(std::string_view line, HandedOver* sum) {
  uint64_t connections = 0, took_ms = 0;
  if (line.find("slot handed over ") == std::string_view::npos ||
      !number_in(line, " connections=", &connections) || !number_in(line, " ms=", &took_ms))
    return false;
  ++sum->slots;
  sum->connections += connections;
  sum->ms += took_ms;
  return true;
}

bool HandoverMeasured::good() const {
  auto fine = [](const ReloadTaken& r) {
    return r.ok && r.baseline.deaf == 0 && r.reload.deaf == 0;
  };
  return !reloads.empty() && std::all_of(reloads.begin(), reloads.end(), fine);
}

ReloadRun::ReloadRun(const HandoverOptions& options, const SilenceBoard& board)
    : options_(options),
      board_(board),
      log_begin_(size_of(options.log)),
      thread_([this] { run(); }) {}

ReloadRun::~ReloadRun() {
  if (thread_.joinable()) thread_.join();
}

void ReloadRun::run() {
  pause(options_.settle_ms);
  for (uint32_t i = 0; i < options_.reloads; ++i) taken_.push_back(reload_once(i));
  board_.finish();
}

ReloadTaken ReloadRun::reload_once(uint32_t number) {
  ReloadTaken taken;
  board_.open_window(2 * number);
  pause(options_.window_ms);
  taken.baseline = silences_in(board_, 2 * number);
  board_.open_window(2 * number + 1);
  uint64_t began = monotonic_ns();
  Result<ctl::ControlAnswer> answer = ctl::ask_master(options_.control, "reload");
  taken.total_ms = ms(monotonic_ns() - began);
  taken.ok = answer && answer->ok;
  taken.text = answer ? answer->text : answer.error().text();
  pause(options_.settle_ms);
  taken.reload = silences_in(board_, 2 * number + 1);
  board_.close_window();
  return taken;
}

HandoverMeasured ReloadRun::finish() {
  thread_.join();
  HandoverMeasured measured;
  measured.reloads = std::move(taken_);
  if (!options_.log.empty()) measured.handed_over = handed_over_since(options_.log, log_begin_);
  return measured;
}

void add_handover(ReportLines& lines, const HandoverMeasured& measured) {
  for (const ReloadTaken& r : measured.reloads) {
    lines.emplace_back(r.ok ? "reload" : "RELOAD FAILED",
                       fmt::format("{:.1f} ms: {}", r.total_ms, r.text));
    lines.emplace_back("silence", fmt::format("longest {:.1f} ms, median {:.1f} ms; without a "
                                              "reload {:.1f} ms, {:.1f} ms",
                                              r.reload.max_ms, r.reload.median_ms,
                                              r.baseline.max_ms, r.baseline.median_ms));
    if (r.reload.deaf + r.baseline.deaf > 0)
      lines.emplace_back("HEARD NOTHING", fmt::format("{} clients, without a reload {}",
                                                      r.reload.deaf, r.baseline.deaf));
  }
  const HandedOver& sum = measured.handed_over;
  if (sum.slots > 0)
    lines.emplace_back("handed over",
                       fmt::format("{} slots, {} connections in {} ms, {:.0f} a "
                                   "second",
                                   sum.slots, sum.connections, sum.ms, sum.per_second()));
}

void write_handover(ctl::Json& json, const HandoverMeasured& measured) {
  json.key("reloads").begin_array();
  for (const ReloadTaken& r : measured.reloads) {
    json.begin_object().member("ok", r.ok).member("text", r.text);
    json.member("total_ms", r.total_ms);
    write_silences(json, "baseline", r.baseline);
    write_silences(json, "reload", r.reload);
    json.end_object();
  }
  json.end_array();
  const HandedOver& sum = measured.handed_over;
  if (sum.slots == 0) return;
  json.key("handed_over").begin_object().member("slots", sum.slots);
  json.member("connections", sum.connections).member("ms", sum.ms);
  json.member("per_second", sum.per_second()).end_object();
}

}  // namespace holdfast::bench
