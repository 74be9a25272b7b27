// master/master_impl.h - the master as an object: master.h has its states, start.cc makes one.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "master/control_socket.h"
#include "master/generations.h"
#include "master/instance.h"
#include "master/reload.h"
#include "master/removed_file.h"
#include "master/rollout.h"
#include "master/signals.h"
#include "master/upgrade.h"
#include "master/watch.h"

namespace holdfast::master {

// All of an instance's resources, in the order they are made; the destructor gives them back in the
// reverse order.
struct Resources {
  Instance instance;
  Doorbells doorbells;
  UniqueFd control;
  RemovedFile control_name;
};

class Master : private SlotObserver,
               private Commands,
               private ReloadObserver,
               private UpgradeHost,
               private MasterOnly {
 public:
  Master(Resources& resources, ListenSockets& sockets, Generations& generations,
         ProcessTitle& title, WorkerMain worker_main, std::string image_path)
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
        reload_(generations, slots_, sockets, resources.instance.segment, *this),
        image_path_(std::move(image_path)),
        upgrade_(loop_, title.arguments(), image_path_, *this),
        second_(loop_, 1'000, *this, Call<&Master::on_second>{}) {
    spawner_.add_master_only(*this);
    spawner_.add_master_only(control_);
    spawner_.add_master_only(upgrade_);
  }

  // Starts the first generation and runs until the end. Returns the exit status.
  int run();
  // Takes over everything of the former image, and runs until the end. Without a way back: this is
  // the former image, and comes back because of `why`.
  int go_on(const MasterRecord& former, std::unique_ptr<WayBack> way_back, const std::string& why);

 private:
  enum class State { starting, serving, stopping };

  const conf::Config& current() const { return generations_.current().config; }

  void on_slot_ready(uint16_t slot) override;
  void on_slot_crashed(uint16_t slot) override;
  void on_slot_empty(uint16_t slot) override;
  void on_succession(uint16_t slot, Succession news) override;
  void on_other_exit(const Exit& exit) override;

  void on_reload_accepted() override { upgrade_.on_reload_accepted(); }
  void on_reload_ended(Asker asker, const Answer& answer, bool changed) override;

  MasterRecord record() const override;
  bool quiet() const override { return control_.quiet_but_for(upgrade_asker_); }
  bool names_are_keyed() const override { return !resources_.instance.segment.name_key().none(); }
  void begin_reload() override { reload_.ask(std::nullopt); }
  void answer_upgrade(const Answer& answer) override;

  void reload(Asker asker) override;
  void upgrade(Asker asker) override;
  Answer reopen_logs() override;
  void stop_fast() override;
  void stop_gracefully() override;

  void close_in_child() override { resources_.instance.pid_file.close_in_child(); }

  void on_second();
  void kill_who_stays();
  void renew_ticket_key(uint64_t now_ms);
  void serve();
  void busy(Asker asker, const char* with);
  void reload_again();
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
  std::string image_path_;
  Upgrade upgrade_;
  Asker upgrade_asker_;
  bool again_ = false;  // a signal asked for a reload while one was under way
  Ticker second_;
  State state_ = State::starting;
  std::optional<Asker> early_reload_;  // asked while starting
  uint64_t kill_at_ms_ = 0;            // while stopping
  std::optional<Ticker> last_moment_;  // likewise: looks at it
  int exit_status_ = 0;
};

}  // namespace holdfast::master
