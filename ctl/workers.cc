#include "ctl/workers.h"

#include <fmt/format.h>

#include "base/clock.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/stats.h"
#include "ctl/table.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

std::string_view state_name(shm::SlotState state) {
  switch (state) {
    case shm::SlotState::free:
      return "free";
    case shm::SlotState::starting:
      return "starting";
    case shm::SlotState::serving:
      return "serving";
    case shm::SlotState::draining:
      return "draining";
    case shm::SlotState::dead:
      return "dead";
  }
  return "unknown";  // the word is another process's
}

uint64_t elapsed(uint64_t now, uint64_t then) {
  return now > then ? now - then : 0;
}

// A process that has not made a turn yet has no heartbeat: its age counts from its start.
uint64_t heartbeat_age(const shm::SlotHead& head, uint64_t monotonic_now_ms, uint64_t uptime_ms) {
  uint64_t beat = head.heartbeat_ms.load(std::memory_order_relaxed);
  return beat == 0 ? uptime_ms : elapsed(monotonic_now_ms, beat);
}

WorkerView view_worker(const shm::Segment& segment, uint32_t slot, uint64_t monotonic_now_ms,
                       uint64_t wall_now_ms) {
  const shm::SlotHead& head = segment.slot(slot);
  WorkerView view;
  view.slot = slot;
  view.state = head.state.load(std::memory_order_acquire);
  view.pid = head.pid.load(std::memory_order_relaxed);
  view.generation = head.generation.load(std::memory_order_relaxed);
  view.restarts = head.restarts.load(std::memory_order_relaxed);
  view.sessions = segment.stats(slot).sessions_online.get();
  uint64_t started = head.started_wall_ms.load(std::memory_order_relaxed);
  view.uptime_ms = started == 0 ? 0 : elapsed(wall_now_ms, started);
  view.heartbeat_age_ms = heartbeat_age(head, monotonic_now_ms, view.uptime_ms);
  return view;
}

std::string heartbeat_text(const WorkerView& worker) {
  if (!worker.has_process()) return "-";
  std::string age = human_duration_ms(worker.heartbeat_age_ms);
  return worker.answering() ? age + " ago" : fmt::format("not answering, {}", age);
}

// null where there is no process that it could be said of.
void write_process_number(Json& json, std::string_view key, const WorkerView& worker,
                          uint64_t number) {
  json.key(key);
  if (worker.has_process())
    json.value(number);
  else
    json.null();
}

}  // namespace

bool WorkerView::has_process() const {
  return state == shm::SlotState::starting || state == shm::SlotState::serving ||
         state == shm::SlotState::draining;
}

std::vector<WorkerView> view_workers(const shm::Segment& segment, uint64_t monotonic_now_ms,
                                     uint64_t wall_now_ms) {
  std::vector<WorkerView> views;
  for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot) {
    WorkerView view = view_worker(segment, slot, monotonic_now_ms, wall_now_ms);
    if (view.state != shm::SlotState::free) views.push_back(view);
  }
  return views;
}

std::string workers_text(const std::vector<WorkerView>& workers, const Style& style) {
  Table table({{"SLOT", Align::right},
               {"PID", Align::right},
               {"STATE"},
               {"GEN", Align::right},
               {"SESSIONS", Align::right},
               {"RESTARTS", Align::right},
               {"UPTIME", Align::right},
               {"HEARTBEAT", Align::left, 9}});
  for (const WorkerView& w : workers) {
    bool process = w.has_process();
    table.row({std::to_string(w.slot), process ? std::to_string(w.pid) : "-",
               std::string(state_name(w.state)), std::to_string(w.generation),
               human_count(w.sessions), human_count(w.restarts),
               process ? human_duration_ms(w.uptime_ms) : "-", heartbeat_text(w)});
  }
  return table.text(style);
}

std::string workers_json(const std::vector<WorkerView>& workers, bool master_alive) {
  Json json;
  json.begin_object().member("master_alive", master_alive).key("workers").begin_array();
  for (const WorkerView& w : workers) {
    json.begin_object().member("slot", w.slot);
    write_process_number(json, "pid", w, w.pid);
    json.member("state", state_name(w.state)).member("generation", w.generation);
    json.member("sessions", w.sessions);
    write_process_number(json, "heartbeat_age_ms", w, w.heartbeat_age_ms);
    json.member("answering", w.answering()).member("restarts", w.restarts);
    write_process_number(json, "uptime_ms", w, w.uptime_ms);
    json.end_object();
  }
  json.end_array().end_object();
  return json.line();
}

ExitCode run_workers(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  std::vector<WorkerView> workers = view_workers(*segment, monotonic_ms(), wall_ms());
  if (options.json) return print(workers_json(workers, segment->master_alive()));
  Style style = screen().style;
  return print(instance_lines(take_snapshot(*segment), style.colour) + "\n" +
               workers_text(workers, style));
}

}  // namespace holdfast::ctl
