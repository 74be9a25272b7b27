#include "master/reload.h"

#include "base/check.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/process_clock.h"
#include "conf/load.h"
#include "master/listeners_file.h"
#include "master/logs.h"
#include "master/notify.h"

namespace holdfast::master {

ListenSockets::Options socket_options(const Rights& rights, bool take_over) {
  ListenSockets::Options options{.take_over = take_over};
  if (rights.change) options.unix_owner = {rights.uid, rights.gid};
  return options;
}

void Reload::ask(Asker asker) {
  HF_CHECK(state_ == State::idle);
  asker_ = asker;
  std::vector<std::string> details;
  auto begun = begin(details);
  if (!begun) return refuse(begun.error().text(), details);
  go_on();
}

// Steps 1 to 3.
Result<Generation> Reload::next_generation(std::vector<std::string>& details) const {
  const conf::Config& running = generations_.current().config;
  conf::Loaded loaded = conf::load_file(running.file, conf::Machine::ours);
  if (!loaded) {
    for (const conf::Problem& problem : loaded.problems) details.push_back(problem.text());
    return Error{Errc::config, 0, fmt::format("{}: {} problem(s)", running.file, details.size())};
  }
  details = conf::needs_restart(running, loaded.config);
  if (!details.empty()) return Error{Errc::config, 0, "settings changed that need a restart"};
  if (loaded.config.limits.mailbox_size < running.limits.mailbox_size)
    log_info("limits.mailbox_size stays at {} bytes until a restart", running.limits.mailbox_size);
  loaded.config.limits.mailbox_size =
      running.limits.mailbox_size;  // that is how the segment is laid out
  auto rights = rights_for(loaded.config.server.user);
  if (!rights) return std::move(rights.error());
  auto log = check_log_target(loaded.config.log);
  if (!log) return std::move(log.error());
  auto added = add_builtin_api(loaded.config);
  if (!added) return std::move(added.error());
  uint32_t number = segment_.header().generation.load(std::memory_order_relaxed) + 1;
  return Generation{number, std::move(loaded.config), *std::move(rights)};
}

// Steps 1 to 5.
Result<void> Reload::begin(std::vector<std::string>& details) {
  auto next = next_generation(details);
  if (!next) return std::move(next.error());
  auto opened = sockets_.open(next->config, socket_options(next->rights, false));
  if (!opened) return opened;
  next_ = &generations_.add(*std::move(next));
  auto prepared = prepare();
  if (!prepared) {
    sockets_.roll_back();
    generations_.give_up();
    generations_.drop_unused(slots_);
    return prepared;
  }
  deadline_ms_ = process_ms() + kPatienceMs;
  notify_reloading();
  log_info("reload started generation={} workers={}", next_->number, next_->workers());
  HF_FAULT("master.reload_forked");
  return {};
}

// Step 5.
Result<void> Reload::prepare() {
  auto places = plan_succession(tenants_of(slots_), next_->workers());
  if (!places) return std::move(places.error());
  auto begun = standbys_.begin(*next_, *places);
  if (begun) state_ = State::preparing;
  return begun;
}

void Reload::on_slot_ready(uint16_t slot) {
  if (state_ == State::preparing) standbys_.on_slot_ready(slot);
  if (state_ == State::handing_over) broker_.on_slot_ready(slot);
  go_on();
}

void Reload::on_slot_crashed(uint16_t slot) {
  if (state_ == State::preparing) standbys_.on_slot_crashed(slot);
  if (state_ == State::handing_over) broker_.on_slot_crashed(slot);
  go_on();
}

void Reload::on_slot_empty(uint16_t slot) {
  if (state_ == State::preparing) standbys_.on_slot_empty(slot);
  if (state_ == State::handing_over) broker_.on_slot_empty(slot);
  go_on();
  retire();
}

void Reload::on_succession(uint16_t slot, Succession news) {
  if (state_ == State::preparing) standbys_.on_succession(slot, news);
  if (state_ == State::handing_over) broker_.on_succession(slot, news);
  go_on();
}

// After whatever has happened: is the step we are in over?
void Reload::go_on() {
  if (state_ == State::preparing && standbys_.state() == Standbys::State::failed)
    return abandon(standbys_.why());
  if (state_ == State::preparing && standbys_.state() == Standbys::State::ready) accept();
  if (state_ == State::handing_over && !broker_.active()) finish();
}

// Step 7.
void Reload::accept() {
  sockets_.commit(next_->config);
  generations_.accept();
  state_ = State::handing_over;
  log_info("reload: every successor is ready, the slots are handed over generation={}",
           next_->number);
  observer_.on_reload_accepted();
  broker_.begin(*next_, standbys_.release());
}

// Step 8.
void Reload::finish() {
  state_ = State::idle;
  segment_.header().reloaded_wall_ms.store(wall_ms(), std::memory_order_relaxed);
  segment_.header().generation.store(next_->number, std::memory_order_release);
  auto log = open_master_log(*next_);
  if (!log)
    log_warn("new log not opened error=\"{}\"; going on with the old one", log.error().text());
  auto published = publish_listeners(sockets_, next_->config);
  if (!published) log_warn("list of listeners not written error=\"{}\"", published.error().text());
  after(outcome(), broker_.taken() > 0);
}

// What was reached, in the log too.
Answer Reload::outcome() const {
  std::string text = sum();
  if (broker_.failures().empty()) {
    log_info("reload done: {}", text);
    return {true, text, {}};
  }
  std::vector<std::string> details;
  for (const HandoverBroker::Failure& failure : broker_.failures())
    details.push_back(
        fmt::format("slot {} goes on with the old configuration: {}", failure.slot, failure.why));
  log_error("reload partly done: {}", text);
  for (const std::string& detail : details) log_error("reload partly done: {}", detail);
  return {false, "reload partly done: " + text, details};
}

std::string Reload::sum() const {
  std::string text = fmt::format("generation {} serves with {} workers; {} slots handed over",
                                 next_->number, next_->workers(), broker_.taken());
  unsigned finishing = 0;
  for (uint16_t i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (slot.phase != Phase::empty && slot.purpose == Purpose::finish) ++finishing;
  }
  if (finishing > 0) text += fmt::format("; {} slots finish their sessions", finishing);
  if (!broker_.failures().empty())
    text += fmt::format("; {} not handed over", broker_.failures().size());
  return text;
}

void Reload::abandon(const std::string& why) {
  state_ = State::idle;
  standbys_.abandon();
  sockets_.roll_back();
  generations_.give_up();
  log_error("reload abandoned reason=\"{}\"; the old workers go on", why);
  after({false, "reload abandoned, the old workers go on: " + why, {}}, false);
}

void Reload::refuse(const std::string& why, const std::vector<std::string>& details) {
  log_error("reload refused reason=\"{}\"; nothing changes", why);
  for (const std::string& detail : details) log_error("reload refused: {}", detail);
  observer_.on_reload_ended(std::exchange(asker_, std::nullopt),
                            {false, "reload refused: " + why, details}, false);
}

void Reload::after(const Answer& answer, bool changed) {
  next_ = nullptr;
  generations_.drop_unused(slots_);
  notify("READY=1");
  observer_.on_reload_ended(std::exchange(asker_, std::nullopt), answer, changed);
}

void Reload::check(uint64_t now_ms) {
  if (state_ == State::preparing && now_ms >= deadline_ms_)
    abandon(fmt::format("not every new worker was ready after {} s", kPatienceMs / 1000));
  if (state_ == State::handing_over) broker_.check(now_ms);
  go_on();
  retire();
}

void Reload::cancel() {
  if (state_ == State::preparing) abandon("the master stops");
  if (state_ != State::handing_over) return;
  state_ = State::idle;
  broker_.cancel();
  log_error("reload ends: the master stops; not every slot was handed over");
  after({false, "reload not finished: the master stops", {}}, true);
}

// The end of step 8. While a reload is under way the sockets of the generation being tried are in
// use too.
void Reload::retire() {
  if (state_ != State::idle) return;
  const Generation& current = generations_.current();
  if (!sockets_.has_unused(current.config) || slots_.others_accept(current)) return;
  size_t closed = sockets_.close_unused(current.config);
  log_info("listeners removed addresses={}", closed);
}

}  // namespace holdfast::master
