// The map of the room: Worker's members, in the order they are built, are what a worker is made of.

#include "worker/worker.h"

#include <signal.h>
#include <unistd.h>

#include <fcntl.h>
#include <sys/socket.h>

#include <algorithm>
#include <list>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/log_guard.h"
#include "base/process_clock.h"
#include "worker/api/connection.h"
#include "worker/api/homes.h"
#include "worker/clients/homes.h"
#include "worker/clients/passage.h"
#include "worker/handover/former_config.h"
#include "worker/handover/receiver.h"
#include "worker/handover/sender.h"
#include "worker/life/control_words.h"
#include "worker/life/parting.h"
#include "worker/net/listener.h"
#include "worker/sessions/shedding.h"

namespace holdfast {
namespace {

constexpr size_t kScratchBytes = 64 * 1024;

class Worker final : private TurnHook {
 public:
  explicit Worker(const Heritage& heritage);
  ~Worker();
  int run();

 private:
  void build_listeners();
  void adopt_orphans();
  Result<void> take_the_slot();
  void begin_serving();
  bool before_wait() override;
  void after_wait() override;
  void on_tick();
  void read_clock();
  void count_unwatched();
  void on_control(short);
  void on_word(char word, UniqueFd fd);
  void on_signal(int signal);
  void begin_hand_over(UniqueFd socket);
  void go_on_with_hand_over();
  void keep_the_slot(const Error& why);
  void drain(const Parting::Plan& plan, bool empty_queues);
  void stop_now();
  bool nothing_left() const { return sessions_.size() == 0 && connections_.size() == 0; }
  handover::Estate estate() {
    return {heritage_, runtime_,      hub_,       sessions_, router_,     tracer_,
            backends_, client_homes_, api_homes_, former_,   connections_};
  }

  const Heritage& heritage_;
  const conf::Config& config_;
  shm::SlotHead& head_;
  Loop loop_;
  uint64_t unwatched_ = 0;                // of Loop::unwatched(), counted
  uint64_t gaps_ = process_clock.gaps();  // likewise
  LogGate unwatched_gate_;
  std::vector<char> scratch_;
  TimingWheel wheel_;
  FlushQueue flush_;
  Runtime runtime_;
  Hub hub_;
  Sessions sessions_;
  PushRouter router_;
  Tracer tracer_;
  Admission admission_;
  ConnectionTable connections_;
  tls::Contexts contexts_;
  handover::ConfigRecord
      former_config_;  // of the predecessor: what is still used of it is referred to
  Backends backends_;
  Passage passage_;
  ClientHomes client_homes_;
  ApiHomes api_homes_;
  handover::FormerConfig former_;
  std::list<Listener> listeners_;
  IoEvent control_;
  SignalEvent term_, quit_;
  Ticker ticker_;
  Parting parting_{runtime_, sessions_, router_, connections_};
  UniqueFd hand_over_to_;  // asked to hand over, waiting for API answers under way
  uint64_t hand_over_until_ms_ = 0;
};

Worker::Worker(const Heritage& heritage)
    : heritage_(heritage),
      config_(*heritage.config),
      head_(heritage.segment->slot(heritage.slot)),
      scratch_(kScratchBytes),
      wheel_(process_ms()),
      runtime_{config_,  heritage.slot, loop_,
               wheel_,   flush_,        heritage.segment->stats(heritage.slot),
               scratch_, process_ms()},
      hub_(runtime_, heritage.segment->filter()),
      sessions_(runtime_, *heritage.segment, hub_,
                heritage.standby ? shm::Slab::Predecessor::living : shm::Slab::Predecessor::dead),
      router_(runtime_, heritage, sessions_, hub_),
      tracer_(runtime_, router_),
      admission_(runtime_, heritage.segment->addresses()),
      connections_(runtime_),
      contexts_(heritage),
      backends_(runtime_, heritage, sessions_, router_),
      passage_(runtime_, heritage, client_homes_, connections_),
      client_homes_(runtime_, sessions_, connections_, backends_, admission_, contexts_, &passage_),
      api_homes_(runtime_, heritage, hub_, router_, tracer_, connections_, contexts_),
      former_(config_, former_config_, backends_, client_homes_),
      control_(loop_, heritage.control, *this, Call<&Worker::on_control>{}),
      term_(loop_, SIGTERM, *this, Call<&Worker::on_signal>{}),
      quit_(loop_, SIGQUIT, *this, Call<&Worker::on_signal>{}),
      ticker_(loop_, TimingWheel::kTickMs, *this, Call<&Worker::on_tick>{}) {
  for (int ignored : {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) signal(ignored, SIG_IGN);
  build_listeners();
  router_.recovery().hold(true);  // until the slot is ours
  if (!heritage.standby) adopt_orphans();
}

// Connections refer to almost everything here: they go while it is all still there.
Worker::~Worker() {
  connections_.clear();
  loop_.bury();
}

void Worker::build_listeners() {
  for (const InheritedListener& inherited : heritage_.listeners) {
    Listener::OnAccept on_accept;
    if (inherited.is_api) {
      ApiHome& home = api_homes_.at(inherited.index);
      on_accept = [this, &home](UniqueFd fd, const shm::SessionOrigin& origin) {
        auto connection = ApiConnection::make(home, std::move(fd));
        ApiConnection& started = *connection;
        connections_.add(std::move(connection));
        started.start(origin);
      };
    } else {
      ClientHome& home = client_homes_.at(inherited.index);
      on_accept = [this, &home](UniqueFd fd, const shm::SessionOrigin& origin) {
        auto client = Client::make(home, std::move(fd));
        Client& started = *client;
        connections_.add(std::move(client));
        started.start(origin);
      };
    }
    listeners_.emplace_back(runtime_, UniqueFd(inherited.fd), uint16_t(inherited.index),
                            std::move(on_accept));
  }
}

// The close events a dead predecessor of this slot owed.
void Worker::adopt_orphans() {
  std::vector<shm::SessionView> orphans = sessions_.orphans();
  for (const shm::SessionView& view : orphans) {
    // A reload may have taken the listener away; then nobody is left to be told.
    static const conf::Listen kNone;
    bool known = view.origin.listener < config_.listens.size();
    const conf::Listen& listen = known ? config_.listens[view.origin.listener] : kNone;
    Backend& backend = known ? backends_.of(listen) : *backends_.find("relay");
    backend.adopt(sessions_.adopt(view, listen, backend), view);
  }
  if (!orphans.empty())
    log_info("close events of a dead worker taken over count={}", orphans.size());
}

void Worker::begin_serving() {
  for (Listener& listener : listeners_) listener.start();
  passage_.begin();
  runtime_.draining = !heritage_.accepts;
  control_.watch(kRead);
  head_.generation.store(heritage_.generation, std::memory_order_relaxed);
  runtime_.budget.beats_in(head_.heartbeat_ms);
  runtime_.budget.beat();
  head_.pid.store(uint32_t(getpid()), std::memory_order_relaxed);  // the master may be slower
  head_.state.store(heritage_.accepts ? shm::SlotState::serving : shm::SlotState::draining,
                    std::memory_order_release);
}

// Only in a standby. When it returns without an error, the slot is ours, with all that is in it.
Result<void> Worker::take_the_slot() {
  say(heritage_.control, control_word::kReady);
  Result<UniqueFd> socket = wait_for_takeover(heritage_.control);
  if (!socket) return std::move(socket.error());
  runtime_.now_ms = process_ms();
  if (Result<void> taken = handover::take_over(estate(), *std::move(socket)); !taken) return taken;
  head_.started_wall_ms.store(wall_ms(), std::memory_order_relaxed);
  router_.begin_serving();
  begin_serving();
  runtime_.now_ms = process_ms();
  gaps_ = process_clock.gaps();  // it has waited to be called
  sessions_.for_each([&](const Session& session) {
    sessions_.set_directory_listener(session, former_.directory_index(session));
  });
  // An older predecessor may have counted otherwise what waits to be sent.
  uint64_t unsent = 0;
  connections_.for_each([&](Connection& connection) { unsent += connection.owed(); });
  runtime_.stats.bytes_unsent.set(unsent);
  connections_.for_each([](Connection& connection) { connection.resume(); });
  return {};
}

int Worker::run() {
  if (heritage_.standby) {
    Result<void> taken = take_the_slot();
    if (!taken) {
      // Without destructors: the segment is another's.
      log_info("standby ends slot={} reason=\"{}\"", heritage_.slot, taken.error().text());
      leave(1);
    }
    say(heritage_.control, control_word::kTaken);
  } else {
    router_.begin_serving();
    router_.post().receive_leftovers();
    router_.finish_all();
    begin_serving();
    say(heritage_.control, control_word::kReady);
  }
  log_info("worker ready slot={} generation={}", heritage_.slot, heritage_.generation);
  loop_.run(this);
  return 0;
}

// ---- the turn

bool Worker::before_wait() {
  bool more = passage_.run();
  if (hand_over_to_) go_on_with_hand_over();
  more |= connections_.input().run();
  router_.post().dispatch();
  more |= router_.carry_on();
  router_.recovery().run();
  more |= sessions_.end_expired(wall_ms() / 1000);
  more |= sessions_.end_overdue(runtime_.now_ms);
  if (parting_.under_way()) more |= parting_.go();
  more |= flush_.run();
  // A flush can end a session and cause records (rare); they leave before the worker sleeps.
  router_.post().dispatch();
  runtime_.budget.begin_events();
  if (more || router_.post().has_mail()) return true;
  router_.post().announce_sleep();
  if (!router_.post().has_mail()) return false;
  router_.post().announce_awake();
  return true;
}

void Worker::after_wait() {
  router_.post().announce_awake();
  read_clock();
  runtime_.budget.begin_turn(runtime_.now_ms + process_clock.stood_still_ms());
  runtime_.stats.loop_turns.add();
  router_.post().receive();
}

void Worker::read_clock() {
  runtime_.now_ms = process_ms();
  uint64_t fresh = process_clock.gaps() - gaps_;
  if (fresh == 0) return;
  gaps_ += fresh;
  runtime_.stats.loop_gaps.add(fresh);
  log_warn("this process stood still; deadlines wait as long as that stood_still_ms={}",
           process_clock.stood_still_ms());
}

void Worker::on_tick() {
  read_clock();
  runtime_.budget.beat();
  wheel_.advance(runtime_.now_ms);
  router_.tick();
  tracer_.tick();
  runtime_.stats.log_dropped.add(log_catch_up());
  shed_debtors(runtime_, connections_);
  backends_.resolver().tick(runtime_.now_ms);
  backends_.for_each([](const std::string&, Backend& backend) { backend.tick(); });
  for (Listener& listener : listeners_) listener.tick();
  count_unwatched();
  if (!heritage_.accepts && !parting_.under_way() && nothing_left() && router_.may_end()) {
    log_info("worker ends slot={}: it only served what was there, and that is gone",
             heritage_.slot);
    return loop_.stop();
  }
  if (!parting_.under_way() || !parting_.tick()) return;
  backends_.for_each([](const std::string&, Backend& backend) { backend.abandon(); });
  log_info("worker ends slot={}", heritage_.slot);
  loop_.stop();
}

void Worker::count_unwatched() {
  uint64_t fresh = loop_.unwatched() - unwatched_;
  if (fresh == 0) return;
  unwatched_ += fresh;
  runtime_.stats.connections_unwatched.add(fresh);
  if (uint64_t n = unwatched_gate_.pass())
    log_warn(
        "epoll has no room for more descriptors times={}; they wait, raise "
        "fs.epoll.max_user_watches",
        n);
}

// ---- going

void Worker::on_control(short) {
  ControlWords words;
  if (read_control_words(heritage_.control, &words)) {
    for (char word : words.text)
      on_word(word, word == control_word::kHandOver ? std::move(words.fd) : UniqueFd());
    return;
  }
  control_.watch(0);
  log_error("the master is gone; accepting no more, draining for {} ms",
            config_.server.drain_timeout_ms);
  drain({runtime_.now_ms + config_.server.drain_timeout_ms, 1012, EndReason::reload, true}, true);
}

void Worker::on_word(char word, UniqueFd fd) {
  const conf::Server& server = config_.server;
  switch (word) {
    case control_word::kDrain:
      return drain({runtime_.now_ms + server.drain_timeout_ms, 1012, EndReason::reload, true},
                   false);
    case control_word::kQuit:
      return drain({runtime_.now_ms + server.stop_timeout_ms, 1001, EndReason::stop, false}, true);
    case control_word::kTerm:
      return stop_now();
    case control_word::kHandOver:
      return begin_hand_over(std::move(fd));
    case control_word::kReopen:
      if (Result<void> reopened = reopen_log(); !reopened)
        log_error("reopen log failed error=\"{}\"; writing to the old one",
                  reopened.error().text());
      return;
    default:
      log_warn("unknown word from the master word={}", int(word));
  }
}

void Worker::on_signal(int signal) {
  on_word(signal == SIGTERM ? control_word::kTerm : control_word::kQuit, {});
}

// ---- handing over

// No API request is begun any more; when those under way have their answers, everything stands still.
void Worker::begin_hand_over(UniqueFd socket) {
  if (!socket || parting_.under_way() || hand_over_to_)
    return keep_the_slot({Errc::busy, 0, "this worker is on its way out"});
  hand_over_to_ = std::move(socket);
  hand_over_until_ms_ = runtime_.now_ms + handover::kPatienceMs;
  api_homes_.hold(true);
}

// Between two turns: no callback is on the stack, no object waits for its destruction.
void Worker::go_on_with_hand_over() {
  // Subscribers that wait for what they have missed are API requests; when these are answered nobody asks any more.
  bool answered = api_homes_.settled();
  router_.recovery().hold(answered);
  bool settled = answered && !router_.carrier().congested() && router_.recovery().settled();
  if (!settled && runtime_.now_ms < hand_over_until_ms_) return;
  UniqueFd socket = std::move(hand_over_to_);
  Result<void> done = Error{Errc::busy, 0, "API requests under way were not answered in time"};
  if (settled) router_.finish_all();
  if (settled) done = handover::hand_over(estate(), std::move(socket));
  if (done) leave(0);
  read_clock();
  api_homes_.hold(false);
  router_.recovery().hold(false);
  keep_the_slot(done.error());
}

void Worker::keep_the_slot(const Error& why) {
  log_error("slot not handed over slot={} reason=\"{}\"; this process goes on", heritage_.slot,
            why.text());
  say(heritage_.control, control_word::kKept);
}

void Worker::drain(const Parting::Plan& plan, bool empty_queues) {
  if (!parting_.begin(plan)) return;
  sessions_.detach_no_more();
  if (runtime_.draining) return;
  runtime_.draining = true;
  for (Listener& listener : listeners_) listener.stop(empty_queues);
  listeners_.clear();
  // Only now: the master closes the sockets of removed listeners when it reads this.
  head_.state.store(shm::SlotState::draining, std::memory_order_release);
  backends_.for_each([](const std::string&, Backend& backend) { backend.drain(); });
  log_info("worker drains slot={} sessions={}", heritage_.slot, sessions_.live());
  parting_.spread();  // those that the listeners have just let in too
}

void Worker::stop_now() {
  drain({runtime_.now_ms, 1001, EndReason::stop, false}, true);
  parting_.begin_wind_up(WindUp::all);
}

}  // namespace

int worker_main(const Heritage& heritage) {
  Worker worker(heritage);
  return worker.run();
}

}  // namespace holdfast
