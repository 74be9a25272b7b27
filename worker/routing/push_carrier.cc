#include "worker/routing/push_carrier.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/clock.h"
#include "worker/routing/push_ops.h"

namespace holdfast {
PushCarrier::~PushCarrier() {
  runtime_.stats.push_under_way.sub(tasks_);
}

// ---- taking

PushCarrier::Taken PushCarrier::take(const Command& part, std::string_view data, uint64_t source,
                                     const Asker& asker, CommandResult* result) {
  if (is_question(part.op)) {
    answer(part, result);
    return Taken::done;
  }
  Payload payload(data, part.binary);
  Progress progress;
  bool begun = runs_at_once(part, source);
  if (begun) {
    size_t left = std::min(left_, slice_), used = left;
    stepping_ = true;
    bool done = go_on(part, payload, progress, result, left);
    stepping_ = false;
    used -= left;
    left_ -= used;
    runtime_.budget.spend(int64_t(used) / TurnBudget::kDeliveriesAUnit);
    if (done) return Taken::done;
    runtime_.stats.push_slices.add();
  }
  auto task = std::make_unique<Task>(
      Task{part, std::move(payload), asker, weight_of(part), progress, std::move(*result)});
  task->command.data = data;
  task->payload.moved_to(task->command.data);
  return queue(std::move(task), source, begun);
}

bool PushCarrier::runs_at_once(const Command& part, uint64_t source) const {
  if (left_ == 0 || stepping_) return false;
  return lines_.empty() || (waiting(source) == 0 && is_small(part));
}

PushCarrier::Taken PushCarrier::queue(std::unique_ptr<Task> task, uint64_t source, bool begun) {
  bool full = tasks_ >= kMaxTasks || bytes_ + task->bytes() > kMaxBytes;
  if (full && !begun && !is_of_another_worker(source)) {  // I3
    runtime_.stats.push_refused_busy.add();
    return Taken::refused;
  }
  if (begun) task->weight = 0;
  count_task(*task);
  Line& line = lines_[source];
  line.push_back(std::move(task));
  if (line.size() == 1) turns_.push_back(source);
  runtime_.budget.congested(congested());
  return Taken::later;
}

void PushCarrier::count_task(const Task& task) {
  ++tasks_;
  bytes_ += task.bytes();
  weight_ += task.weight;
  runtime_.stats.push_under_way.add();
}

std::unique_ptr<PushCarrier::Task> PushCarrier::task_of(Command&& command, const Asker& asker) {
  auto task = std::make_unique<Task>(Task{std::move(command), Payload({}, false), asker, 0});
  task->payload = Payload(task->command.data, task->command.binary);
  return task;
}

void PushCarrier::in_line(uint64_t source, Work work) {
  if (left_ > 0 && !stepping_ && lines_.empty()) {
    size_t left = std::min(left_, slice_), used = left;
    stepping_ = true;
    bool done = work(left);
    stepping_ = false;
    used -= left;
    left_ -= used;
    runtime_.budget.spend(int64_t(used) / TurnBudget::kDeliveriesAUnit);
    if (done) work = nullptr;
  }
  if (work) {
    auto task = task_of({}, {.slot = runtime_.slot});
    task->work = std::move(work);
    queue(std::move(task), source, true);
  }
  for (std::unique_ptr<Task>& task : std::exchange(next_, {})) queue(std::move(task), source, true);
}

void PushCarrier::next_in_line(Command&& command) {
  next_.push_back(task_of(std::move(command), {.slot = runtime_.slot}));
}

void PushCarrier::next_in_line(Work work) {
  next_.push_back(task_of({}, {.slot = runtime_.slot}));
  next_.back()->work = std::move(work);
}

bool PushCarrier::congested() const {
  return weight_ > kCongested || tasks_ > kMaxTasks / 4 || bytes_ > kMaxBytes / 4;
}

// No less than it will cost: what is taken for small never walks.
size_t PushCarrier::weight_of(const Command& part) const {
  size_t cost = cost_of(part.op);
  size_t weight = part.sessions.size() * cost;
  auto count = [&](std::string_view name) { weight += cost + addressees(part, name).cost; };
  for (size_t i = 0; i < users_of(part); ++i) count(user_channel(part.users[i]));
  if (channels_address(part.op))
    for (const std::string& channel : part.channels) count(channel);
  if (part.op == Op::send_all) weight += sessions_.live() * cost;
  return weight;
}

PushCarrier::Addressees PushCarrier::addressees(const Command& part, std::string_view name) const {
  Addressees to{.channel = hub_.find(name)};
  if (to.channel != nullptr)
    to.cost = (to.channel->members.size() + to.channel->subscribers.size()) * cost_of(part.op);
  if (!hub_.has_patterns() || !goes_to_patterns(part, name)) return to;
  to.cost += hub_.pattern_count() / kPatternsADelivery;
  // A pattern may cost as much as its bytes times those of the name, or next to nothing: what it took is what is spent.
  uint64_t from_ns = monotonic_ns();
  hub_.for_each_pattern_of(name, [&](const Channel& pattern) {
    to.patterns.push_back(&pattern);
    to.cost += pattern.subscribers.size();
  });
  runtime_.budget.spend(int64_t((monotonic_ns() - from_ns) / 1'000));
  return to;
}

bool PushCarrier::is_small(const Command& part) const {
  return part.sessions.size() + part.users.size() + part.channels.size() <= kSmall &&
         weight_of(part) <= std::min({kSmall, left_, slice_});
}

// ---- slices

bool PushCarrier::carry_on() {
  left_ = a_turn_;
  if (lines_.empty()) return false;
  step();
  return !lines_.empty();
}

// With a word to the master between slices: this is work, and no hang.
void PushCarrier::finish() {
  while (!lines_.empty()) {
    step();
    runtime_.budget.beat();
  }
}

void PushCarrier::step() {
  size_t left = slice_;
  while (left > 0 && !lines_.empty()) {
    uint64_t source = turns_.front();
    auto line = lines_.find(source);
    Task& task = *line->second.front();
    weight_ -= std::exchange(task.weight, 0);
    stepping_ = true;
    bool done = task.work ? task.work(left)
                          : go_on(task.command, task.payload, task.progress, &task.result, left);
    stepping_ = false;
    runtime_.stats.push_slices.add();
    for (const std::unique_ptr<Task>& next : next_) count_task(*next);
    line->second.insert(std::next(line->second.begin()), std::make_move_iterator(next_.begin()),
                        std::make_move_iterator(next_.end()));
    next_.clear();
    if (!done) break;
    use_up(left, 1);
    std::unique_ptr<Task> finished = std::move(line->second.front());
    line->second.pop_front();
    turns_.pop_front();
    bool last = line->second.empty();
    if (last) {
      lines_.erase(line);
    } else {
      turns_.push_back(source);
    }
    --tasks_;
    bytes_ -= finished->bytes();
    runtime_.stats.push_under_way.sub();
    if (finished->asker.token != 0) owner_.carried(finished->asker, std::move(finished->result));
    if (last && waiting(source) == 0) owner_.none_waits(source);
  }
  runtime_.budget.spend(int64_t(slice_ - left) / TurnBudget::kDeliveriesAUnit);
  runtime_.budget.congested(congested());
}

}  // namespace holdfast
