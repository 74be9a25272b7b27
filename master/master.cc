#include "master/master.h"

#include <signal.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "master/control_socket.h"
#include "master/descriptor_limit.h"
#include "master/generations.h"
#include "master/instance.h"
#include "master/listeners_file.h"
#include "master/logs.h"
#include "master/notify.h"
#include "master/reload.h"
#include "master/removed_file.h"
#include "master/rollout.h"
#include "master/signals.h"
#include "master/watch.h"

namespace holdfast::master {
namespace {

constexpr uint64_t kKillGraceMs = 2'000;

// All of an instance's resources, in the order they are made; the destructor gives them back in the
// other.
struct Resources {
  Instance instance;
  Doorbells doorbells;
  UniqueFd control;
  RemovedFile control_name;
};

class Master : private SlotObserver, private Commands, private MasterOnly {
 public:
  Master(Resources& resources, ListenSockets& sockets, Generations& generations,
         ProcessTitle& title, WorkerMain worker_main)
      : resources_(resources),
        sockets_(sockets),
        generations_(generations),
        spawner_(loop_, resources.instance.segment, sockets, resources.doorbells, title,
                 worker_main),
        slots_(loop_, resources.instance.segment, spawner_, *this),
        first_start_(slots_),
        watch_(slots_, resources.instance.segment),
        signals_(loop_, *this, slots_),
        control_(loop_, std::move(resources.control), *this),
        reload_(generations, slots_, sockets, resources.instance.segment, control_),
        second_(loop_, 1'000, *this, Call<&Master::on_second>{}) {
    spawner_.add_master_only(*this);
    spawner_.add_master_only(control_);
  }

  // Starts the first generation and runs until the end. Returns the exit status.
  int run();

 private:
  enum class State { starting, serving, stopping };

  const conf::Config& current() const { return generations_.current().config; }

  void on_slot_ready(uint16_t slot) override;
  void on_slot_crashed(uint16_t slot) override;
  void on_slot_empty(uint16_t slot) override;
  void on_succession(uint16_t slot, Succession news) override;

  void reload(Asker asker) override;
  void upgrade() override;
  Answer reopen_logs() override;
  void stop_fast() override;
  void stop_gracefully() override;

  void close_in_child() override { resources_.instance.pid_file.close_in_child(); }

  void on_second();
  void serve();
  void stop(char word, uint64_t patience_ms);
  void end_if_done();

  Resources& resources_;
  ListenSockets& sockets_;
  Generations& generations_;
  Loop loop_;
  Spawner spawner_;
  Slots slots_;
  Rollout first_start_;
  HeartbeatWatch watch_;
  Signals signals_;
  ControlSocket control_;
  Reload reload_;
  Ticker second_;
  State state_ = State::starting;
  std::optional<Asker> early_reload_;  // asked while starting
  uint64_t kill_at_ms_ = 0;            // while stopping
  int exit_status_ = 0;
};

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

void Master::reload(Asker asker) {
  if (state_ == State::serving) return reload_.ask(asker);
  if (state_ == State::starting && !early_reload_) {
    early_reload_ = asker;  // serve() asks for it
    return;
  }
  log_warn("reload refused reason=\"starting or stopping\"");
  control_.answer(asker, {false, "reload refused: the server is starting or stopping", {}});
}

void Master::upgrade() {
  log_warn(
      "upgrade asked (USR2): this version cannot replace its binary while it runs; nothing "
      "changes. "
      "Install the new one and restart");
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
  if (state_ == State::serving) reload_.cancel();
  if (early_reload_)
    control_.answer(*early_reload_, {false, "reload refused: the server stops", {}});
  early_reload_.reset();
  state_ = State::stopping;
  uint64_t kill_at_ms = monotonic_ms() + patience_ms + kKillGraceMs;
  if (kill_at_ms_ == 0 || kill_at_ms < kill_at_ms_) kill_at_ms_ = kill_at_ms;
  // Ours first: so a worker's close is the last one, and comes right after it has emptied its
  // queue. From then on newcomers are refused, and do not wait for a reset.
  sockets_.close_all();
  slots_.stop(word);
  end_if_done();
}

void Master::on_second() {
  uint64_t now_ms = monotonic_ms();
  watch_.check(now_ms);
  control_.check(now_ms);
  if (state_ == State::serving) reload_.check(now_ms);
  if (state_ != State::stopping || now_ms < kill_at_ms_) return;
  unsigned killed = slots_.kill_all();
  log_error("workers killed number={} reason=\"still there after stop_timeout\"", killed);
  exit_status_ = 1;
}

// A turn later at the earliest (Loop::run looks after its callbacks), so an answer that was given
// is on its way.
void Master::end_if_done() {
  if (state_ == State::stopping && slots_.all_empty()) loop_.stop();
}

Result<Generation> first_generation(conf::Config config) {
  auto rights = rights_for(config.server.user);
  if (!rights) return std::move(rights.error());
  auto added = add_builtin_api(config);
  if (!added) return std::move(added.error());
  return Generation{1, std::move(config), *std::move(rights)};
}

Result<Resources> claim_resources(const conf::Config& config) {
  auto instance = Instance::claim(config);
  if (!instance) return std::move(instance.error());
  auto doorbells = Doorbells::make(config.server.max_workers);
  if (!doorbells) return std::move(doorbells.error());
  std::string control_path = config.server.runtime_dir + "/control.sock";
  auto control = ControlSocket::open(control_path);
  if (!control) return std::move(control.error());
  return Resources{*std::move(instance), *std::move(doorbells), *std::move(control),
                   RemovedFile(control_path)};
}

int cannot_start(const Error& error) {
  log_aloud("not started: " + error.text());
  return 1;
}

}  // namespace

int master_main(conf::Config wanted, ProcessTitle& title, WorkerMain worker_main) {
  auto first = first_generation(std::move(wanted));
  if (!first) return cannot_start(first.error());
  Generations generations;
  const Generation& generation = generations.add(*std::move(first));
  generations.accept();
  const conf::Config& config = generation.config;
  auto log = open_master_log(generation);
  if (!log) return cannot_start(log.error());
  title.set(fmt::format("holdfastd: master [{}]", config.server.instance), "holdfastd");
  raise_descriptor_limit(config);
  warn_about_rights(config.server.user, generation.rights);

  auto resources = claim_resources(config);
  if (!resources) return cannot_start(resources.error());
  if (resources->instance.left_over)
    log_warn(
        "a master of this instance was killed earlier; replacing what it left, its workers may "
        "still drain");
  ListenSockets sockets;
  auto opened =
      sockets.open(config, socket_options(generation.rights, resources->instance.left_over));
  if (!opened) return cannot_start(opened.error());
  sockets.commit(config);
  RemovedFile listeners(listeners_path(config.server));
  auto published = publish_listeners(sockets, config);
  if (!published) return cannot_start(published.error());

  Master master(*resources, sockets, generations, title, worker_main);
  return master.run();
}

}  // namespace holdfast::master
