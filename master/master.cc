#include "master/master.h"

#include <signal.h>
#include <unistd.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/log_guard.h"
#include "base/process_clock.h"
#include "master/logs.h"
#include "master/master_impl.h"
#include "master/notify.h"

namespace holdfast::master {
namespace {

constexpr uint64_t kKillGraceMs =
    1'000;  // with stop_timeout's default: before a container's 10 s are over
constexpr unsigned kLookMs = 100;

}  // namespace

int Master::run() {
  auto begun = first_start_.begin(generations_.current());
  if (!begun) {
    log_aloud(fmt::format("start failed error=\"{}\"", begun.error().text()));
    exit_status_ = 1;
    stop_fast();
  }
  if (!slots_.all_empty()) loop_.run();  // empty: not even one could be forked
  log_info("stopped");
  return exit_status_;
}

void Master::serve() {
  state_ = State::serving;
  shm::Header& header = resources_.instance.segment.header();
  header.generation.store(generations_.current().number, std::memory_order_release);
  log_info("serving instance={} workers={} pid={}", current().server.instance,
           current().server.workers, getpid());
  notify("READY=1");
  if (early_reload_) reload_.ask(*std::exchange(early_reload_, std::nullopt));
}

void Master::on_slot_ready(uint16_t slot) {
  if (state_ == State::serving) return reload_.on_slot_ready(slot);
  if (state_ == State::starting && first_start_.on_slot_ready(slot) == Rollout::News::done) serve();
}

void Master::on_slot_crashed(uint16_t slot) {
  if (state_ == State::serving) reload_.on_slot_crashed(slot);
  if (state_ != State::starting || first_start_.on_slot_crashed(slot) != Rollout::News::failed)
    return;
  log_aloud(fmt::format(
      "a worker died {} times before it was ready; giving up, its own log lines say why",
      Rollout::kMaxEarlyDeaths));
  exit_status_ = 1;
  stop_fast();
}

void Master::on_slot_empty(uint16_t slot) {
  generations_.drop_unused(slots_);
  if (state_ == State::serving) reload_.on_slot_empty(slot);
  end_if_done();
}

void Master::on_succession(uint16_t slot, Succession news) {
  if (state_ == State::serving) reload_.on_succession(slot, news);
}

void Master::on_other_exit(const Exit& exit) {
  if (upgrade_.on_exit(exit)) return reload_again();
  log_debug("reaped a process that is no worker pid={} {}", exit.pid, exit.text());
}

void Master::on_reload_ended(Asker asker, const Answer& answer, bool changed) {
  if (upgrade_.proving())
    upgrade_.on_reload_ended(answer, changed);
  else
    control_.answer(asker, answer);
  reload_again();
}

// A signal has nobody to tell that it came too early.
void Master::busy(Asker asker, const char* with) {
  log_info("asked while {} is under way; {}", with, asker ? "refused" : "a reload follows it");
  control_.answer(asker,
                  {false, fmt::format("{} is under way; ask again when it has ended", with), {}});
  if (!asker) again_ = true;
}

void Master::reload_again() {
  if (state_ != State::serving || upgrade_.active() || reload_.active()) return;
  if (std::exchange(again_, false)) reload_.ask(std::nullopt);
}

void Master::reload(Asker asker) {
  if (upgrade_.active()) return busy(asker, "an upgrade");
  if (reload_.active()) return busy(asker, "a reload");
  if (state_ == State::serving) return reload_.ask(asker);
  if (state_ == State::starting && !early_reload_) {
    early_reload_ = asker;  // serve() asks for it
    return;
  }
  log_warn("reload refused reason=\"starting or stopping\"");
  control_.answer(asker, {false, "reload refused: the server is starting or stopping", {}});
}

void Master::upgrade(Asker asker) {
  if (upgrade_.active()) return busy(asker, "an upgrade");
  if (reload_.active()) return busy(asker, "a reload");
  if (state_ != State::serving) {
    log_warn("upgrade refused reason=\"starting or stopping\"");
    return control_.answer(asker,
                           {false, "upgrade refused: the server is starting or stopping", {}});
  }
  upgrade_asker_ = asker;
  upgrade_.ask();
}

void Master::answer_upgrade(const Answer& answer) {
  control_.answer(std::exchange(upgrade_asker_, std::nullopt), answer);
}

MasterRecord Master::record() const {
  MasterRecord record;
  record.version = HOLDFAST_VERSION;
  record.instance = current().server.instance;
  record.runtime_dir = current().server.runtime_dir;
  record.segment = resources_.instance.segment.fd();
  record.pid_file = resources_.instance.pid_file.fd();
  record.control = control_.listener();
  record.asker = control_.fd_of(upgrade_asker_);
  record.image_path = image_path_;
  record.reload_asked = again_;
  record.doorbells = resources_.doorbells.save();
  record.points = sockets_.save();
  generations_.for_each([&](const Generation& generation) {
    record.generations.push_back(record_of(generation, generations_.is_current(&generation)));
  });
  slots_.save(record);
  return record;
}

int Master::go_on(const MasterRecord& former, std::unique_ptr<WayBack> way_back,
                  const std::string& why) {
  state_ = State::serving;
  again_ = former.reload_asked;
  if (former.asker != 0) upgrade_asker_ = control_.adopt(UniqueFd(former.asker));
  slots_.restore(former, generations_);
  unblock_signals();
  HF_FAULT("upgrade.adopted");
  if (way_back) {
    log_info("master goes on as {} after {} pid={}", HOLDFAST_VERSION, former.version, getpid());
    upgrade_.begin(std::move(way_back), former.version);
  } else {
    log_error("upgrade failed, {} goes on as before: {}", HOLDFAST_VERSION, why);
    answer_upgrade(
        {false, fmt::format("upgrade failed, {} goes on: {}", HOLDFAST_VERSION, why), {}});
    notify("READY=1");
    reload_again();
  }
  slots_.reap();  // whoever ended while nobody looked
  loop_.run();
  log_info("stopped");
  return exit_status_;
}

// All or nobody: what the master cannot open, workers cannot either, or into another file.
Answer Master::reopen_logs() {
  auto reopened = reopen_master_log(generations_.current());
  if (!reopened) {
    std::string why = reopened.error().text();
    log_error("logs not reopened error=\"{}\"; going on with the old ones", why);
    return {false, "logs not reopened, the old ones are written on: " + why, {}};
  }
  slots_.tell_all(control_word::kReopen);
  log_info("logs reopened");
  return {true, "logs reopened", {}};
}

void Master::stop_fast() {
  log_info("stopping: sessions are closed now");
  stop(control_word::kTerm, current().server.stop_timeout_ms);
}

void Master::stop_gracefully() {
  if (state_ == State::stopping) return;  // a fast stop stays fast
  log_info("stopping gracefully: sessions are closed over {} ms", current().server.stop_timeout_ms);
  // stop_timeout to close the sessions, and as long again for their output and close events.
  stop(control_word::kQuit, 2 * current().server.stop_timeout_ms);
}

void Master::stop(char word, uint64_t patience_ms) {
  if (state_ != State::stopping) notify("STOPPING=1");
  if (state_ == State::starting) first_start_.abandon();
  upgrade_.cancel();
  if (state_ == State::serving) reload_.cancel();
  if (early_reload_)
    control_.answer(*early_reload_, {false, "reload refused: the server stops", {}});
  early_reload_.reset();
  state_ = State::stopping;
  uint64_t kill_at_ms = process_ms() + patience_ms + kKillGraceMs;
  if (kill_at_ms_ == 0 || kill_at_ms < kill_at_ms_) kill_at_ms_ = kill_at_ms;
  if (!last_moment_) last_moment_.emplace(loop_, kLookMs, *this, Call<&Master::kill_who_stays>{});
  // Ours first: so a worker's close is the last one, and comes right after it has emptied its
  // queue. From then on newcomers are refused, and do not wait for a reset.
  sockets_.close_all();
  slots_.stop(word);
  end_if_done();
}

void Master::on_second() {
  uint64_t now_ms = process_ms();  // of deadlines
  uint64_t shared_ms = now_ms + process_clock.stood_still_ms();
  log_catch_up();  // no slot's counter is ours: the log itself says how many of our lines it lacks
  watch_.check(shared_ms, process_clock.stood_still_ms());
  control_.check(now_ms);
  if (state_ == State::serving) reload_.check(now_ms);
  if (state_ == State::serving) upgrade_.check(now_ms);
  renew_ticket_key(shared_ms);
}

void Master::kill_who_stays() {
  uint64_t now_ms = process_ms();
  if (now_ms < kill_at_ms_) return;
  kill_at_ms_ = now_ms + 1'000;
  unsigned killed = slots_.kill_all();
  log_error("workers killed number={} reason=\"still there after stop_timeout\"", killed);
  exit_status_ = 1;
}

void Master::renew_ticket_key(uint64_t now_ms) {
  shm::TicketKeys keys = resources_.instance.segment.ticket_keys();
  uint64_t lifetime_ms = current().server.tls_ticket_lifetime_ms;
  if (lifetime_ms == 0 || now_ms - keys.made_ms() < lifetime_ms) return;
  keys.renew(now_ms);
  log_debug("a new key for TLS session tickets");
}

// A turn later at the earliest (Loop::run looks after its callbacks), so an answer that was given
// is on its way.
void Master::end_if_done() {
  if (state_ == State::stopping && slots_.all_empty()) loop_.stop();
}

}  // namespace holdfast::master
