// Random reloads, upgrades, crashes and restarts of the application under load, for HF_CHAOS_SECONDS with HF_CHAOS_SEED:
// scripts/chaos SECONDS [SEED]. The seed decides what is done in which order; what it meets is up to the machine.

#include <stdlib.h>

#include <filesystem>
#include <random>

#include "tests/system/crowd_fixture.h"

namespace holdfast::test {
namespace {

uint64_t number_from(const char* variable, uint64_t otherwise) {
  const char* text = std::getenv(variable);
  return text == nullptr ? otherwise : std::strtoull(text, nullptr, 10);
}

class Chaos : public CrowdTest {
 protected:
  using Action = void (Chaos::*)();

  // Its own copy of the binary, so that it can be taken away.
  Chaos() {
    options_.holdfastd = copies_ / "holdfastd";
    std::filesystem::copy_file(binary("HF_HOLDFASTD"), options_.holdfastd);
    gw_.signal(SIGTERM);
    gw_.process().wait_for_end(timeout_ms());
    gw_.use(options_);
    gw_.start();
    CrowdOptions options = everybody(4);
    options.seed = seed_;
    crowd_ = std::make_unique<Crowd>(options);
  }

  unsigned pick(unsigned n) { return unsigned(chance_() % n); }

  Finished ctl(const std::string& command) {
    Finished finished;
    crowd_->during([&] { finished = gw_.ctl({command}); });
    return finished;
  }

  void reload() {
    options_.workers = 1 + pick(4);
    options_.limits = "max_message_size = " + std::to_string(65'536 + pick(100));
    gw_.write_config(options_);
    Finished done = ctl("reload");
    ASSERT_EQ(done.status, 0) << done.output;
  }

  void refused_reload() {
    GatewayOptions bad = options_;
    bad.limits = "max_message_size = 0";
    gw_.write_config(bad);
    uint64_t before = gw_.generation();
    EXPECT_NE(ctl("reload").status, 0);
    EXPECT_EQ(gw_.generation(), before);
    gw_.write_config(options_);
  }

  void many_reloads_at_once() {
    uint64_t before = gw_.generation();
    for (unsigned n = 2 + pick(4); n-- > 0;) gw_.signal(SIGHUP);
    ASSERT_TRUE(crowd_->run_until([&] { return gw_.generation() > before; }, 4 * timeout_ms()));
  }

  void upgrade() {
    Finished done = ctl("upgrade");
    ASSERT_EQ(done.status, 0) << done.output;
    gw_.attach();
  }

  void refused_upgrade() {
    std::filesystem::rename(options_.holdfastd, options_.holdfastd + ".away");
    EXPECT_NE(ctl("upgrade").status, 0);
    std::filesystem::rename(options_.holdfastd + ".away", options_.holdfastd);
  }

  pid_t some_worker(uint16_t* slot) {
    pid_t pid;
    do {
      std::vector<uint16_t> slots = gw_.serving_slots();
      *slot = slots.at(pick(unsigned(slots.size())));
      pid = gw_.worker(*slot);
    } while (pid == 0);  // left just now
    return pid;
  }

  void crash() { end_worker(pick(2) == 0 ? SIGKILL : SIGSEGV); }
  void hang() { end_worker(SIGSTOP); }
  void end_worker(int signal) {
    uint16_t slot;
    pid_t victim = some_worker(&slot);
    crowd_->trouble(true);
    kill(victim, SIGSTOP);
    crowd_->doom(connections_of(victim));
    kill(victim, signal);
    if (signal == SIGSEGV) kill(victim, SIGCONT);
    // It may have held nobody, and still stand in everybody's way while it hangs.
    ASSERT_TRUE(crowd_->run_until(
        [&] { return crowd_->doomed() == 0 && gw_.worker(slot) != victim; }, 4 * timeout_ms()))
        << crowd_->state_text();
    calm_down();
  }

  // Both processes of a slot may hold its connections, and which one dies before or after it matters is left to chance.
  void crash_amid_a_reload() {
    uint16_t slot;
    pid_t predecessor = some_worker(&slot);
    crowd_->trouble(true);
    gw_.signal(SIGHUP);
    for (unsigned turns = pick(20); turns-- > 0;) crowd_->run_until([] { return true; });
    pid_t now = gw_.worker(slot), victim = pick(2) == 0 || now == 0 ? predecessor : now;
    crowd_->doom_all();
    kill(victim, SIGKILL);
    // Done, or given up; another one shows that all is well.
    Finished done;
    auto is_reloaded = [&] { return (done = ctl("reload")).status == 0; };
    ASSERT_TRUE(crowd_->run_until(is_reloaded, 4 * timeout_ms())) << done.output;
    calm_down();
  }

  // What is asked of the workers while one is missing may be answered without it.
  void calm_down() {
    ASSERT_TRUE(crowd_->run_until([&] { return gw_.serving_slots().size() >= options_.workers; },
                                  4 * timeout_ms()));
    // A standby that dies with its predecessor may keep a lost client's connection for a moment.
    auto is_exact = [&] {
      crowd_->settle();
      return gw_.counter("connections.open") == crowd_->members();
    };
    ASSERT_TRUE(crowd_->run_until(is_exact, 4 * timeout_ms()))
        << gw_.counter("connections.open") << " and " << crowd_->state_text();
    crowd_->reprieve();
    crowd_->trouble(false);
    crowd_->resume();
  }

  void restart_the_application() {
    crowd_->settle();
    crowd_->hold_newcomers(true);
    crowd_->resume();
    crowd_->doom(CrowdKind::php);
    bool hard = pick(2) == 0;
    crowd_->during([&] { hard ? fpm_.kill_hard() : fpm_.stop(); });
    fpm_.start();
    crowd_->hold_newcomers(false);
    crowd_->settle();
    crowd_->reprieve();
    crowd_->resume();
  }

  void kill_the_master() {
    crowd_->trouble(true);
    crowd_->hold_newcomers(true);
    crowd_->doom_all();
    if (pick(2) == 0) {
      uint16_t slot;
      kill(some_worker(&slot), SIGKILL);
    }
    kill(gw_.master(), SIGKILL);
    crowd_->drop_doomed();
    ASSERT_NE(gw_.process().wait_for_end(timeout_ms()), -1);
    gw_.use(options_);
    gw_.start();
    crowd_->aim_at(everybody(4));
    crowd_->hold_newcomers(false);
    calm_down();
  }

  void run_for(uint64_t seconds) {
    struct Choice {
      const char* name;
      unsigned weight;
      Action action;
    };
    const Choice kChoices[] = {{"reload", 8, &Chaos::reload},
                               {"refused reload", 3, &Chaos::refused_reload},
                               {"many reloads at once", 3, &Chaos::many_reloads_at_once},
                               {"upgrade", 4, &Chaos::upgrade},
                               {"refused upgrade", 2, &Chaos::refused_upgrade},
                               {"crash", 5, &Chaos::crash},
                               {"hang", 1, &Chaos::hang},
                               {"crash amid a reload", 4, &Chaos::crash_amid_a_reload},
                               {"application restarts", 3, &Chaos::restart_the_application},
                               {"master dies", 1, &Chaos::kill_the_master}};
    std::vector<const Choice*> hat;
    for (const Choice& choice : kChoices) hat.insert(hat.end(), choice.weight, &choice);
    uint64_t end =
        monotonic_ms() + seconds * 800;  // the rest is for what is under way, and the end
    for (unsigned n = 1; monotonic_ms() < end; ++n) {
      const Choice& choice = *hat[pick(unsigned(hat.size()))];
      std::printf("chaos %u: %s\n", n, choice.name);
      std::fflush(stdout);
      (this->*choice.action)();
      if (HasFatalFailure()) return;
      ASSERT_NO_FATAL_FAILURE(go_on(*crowd_)) << choice.name;
      if (n % 8 != 0) continue;
      ASSERT_NO_FATAL_FAILURE(expect_exact(*crowd_)) << choice.name;
      crowd_->resume();
    }
  }

  uint64_t seed_ = number_from("HF_CHAOS_SEED", 1);
  std::mt19937_64 chance_{seed_};
  TempDir copies_;
  std::unique_ptr<Crowd> crowd_;
};

TEST_F(Chaos, LeavesEverythingExact) {
  ASSERT_NO_FATAL_FAILURE(run_for(number_from("HF_CHAOS_SECONDS", 8)));
  ASSERT_NO_FATAL_FAILURE(expect_exact(*crowd_));
  expect_nothing_left(*crowd_);
}

}  // namespace
}  // namespace holdfast::test
