// The map of the room: Worker's members, in the order they are built, are what a worker is made of.

#include "worker/worker.h"

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <list>

#include "base/log.h"
#include "worker/api/http_face.h"
#include "worker/api/resp_face.h"
#include "worker/api/router_face.h"
#include "worker/api_connection.h"
#include "worker/builtin_backends.h"
#include "worker/client.h"
#include "worker/fcgi_backend.h"
#include "worker/listener.h"
#include "worker/push_router.h"

namespace holdfast {
namespace {

constexpr size_t kScratchBytes = 64 * 1024;
constexpr uint64_t kFarewellMs = 7'000;  // after the last close frame, for the clients' answers

class Worker final : private TurnHook {
 public:
  explicit Worker(const Heritage& heritage);
  ~Worker();
  int run();

 private:
  struct Parting {
    uint64_t until_ms;  // sessions are closed evenly until then
    uint16_t code;
    EndReason reason;
    bool wait_for_close_events;
    uint64_t from_ms = 0;  // filled in by drain()
    size_t sessions = 0;   // how many there were then
  };

  void build_backends();
  void build_listeners();
  void adopt_orphans();
  Backend& backend_of(const conf::Listen& listen);
  bool before_wait() override;
  void after_wait() override;
  void on_tick();
  void on_control(short);
  void on_word(char word);
  void on_signal(int signal);
  void drain(Parting parting, bool empty_queues);
  void stop_now();
  void close_a_share();
  void wind_up(WindUp what);
  bool is_done() const;

  const Heritage& heritage_;
  const conf::Config& config_;
  shm::SlotHead& head_;
  Loop loop_;
  std::vector<char> scratch_;
  TimingWheel wheel_;
  FlushQueue flush_;
  Runtime runtime_;
  Hub hub_;
  Sessions sessions_;
  PushRouter router_;
  LogGate complaints_;  // of router wire listeners
  std::map<std::string, std::unique_ptr<Backend>> backends_;
  std::deque<ClientHome> client_homes_;
  std::deque<ApiHome> api_homes_;
  ConnectionTable connections_;  // dies before the homes its connections refer to
  std::list<Listener> listeners_;
  IoEvent control_;
  SignalEvent term_, quit_;
  Ticker ticker_;
  std::optional<Parting> parting_;
};

Worker::Worker(const Heritage& heritage)
    : heritage_(heritage),
      config_(*heritage.config),
      head_(heritage.segment->slot(heritage.slot)),
      scratch_(kScratchBytes),
      wheel_(monotonic_ms()),
      runtime_{config_,  heritage.slot, loop_,
               wheel_,   flush_,        heritage.segment->stats(heritage.slot),
               scratch_, monotonic_ms()},
      hub_(runtime_, heritage.segment->filter()),
      sessions_(runtime_, *heritage.segment, hub_),
      router_(runtime_, heritage, sessions_, hub_),
      connections_(runtime_),
      control_(loop_, heritage.control, *this, Call<&Worker::on_control>{}),
      term_(loop_, SIGTERM, *this, Call<&Worker::on_signal>{}),
      quit_(loop_, SIGQUIT, *this, Call<&Worker::on_signal>{}),
      ticker_(loop_, TimingWheel::kTickMs, *this, Call<&Worker::on_tick>{}) {
  for (int ignored : {SIGINT, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE}) signal(ignored, SIG_IGN);
  build_backends();
  build_listeners();
  adopt_orphans();
}

// Connections refer to almost everything here: they go while it is all still there.
Worker::~Worker() {
  connections_.clear();
  loop_.bury();
}

void Worker::build_backends() {
  backends_.emplace("echo", std::make_unique<EchoBackend>(runtime_, sessions_));
  backends_.emplace("relay", std::make_unique<RelayBackend>(runtime_, sessions_, router_));
  shm::Segment& segment = *heritage_.segment;
  auto others_waiting = [&segment] {
    for (uint32_t slot = 0; slot < segment.capacities().max_workers; ++slot)
      if (segment.stats(slot).backend_waiting.get() > 0) return true;
    return false;
  };
  for (const auto& [name, conf] : config_.backends) {
    fcgi::Pool::Share share{std::max(1u, conf.max_connections / heritage_.worker_count),
                            std::max(1u, conf.queue / heritage_.worker_count)};
    backends_.emplace(name, std::make_unique<FcgiBackend>(runtime_, conf, share, sessions_, router_,
                                                          others_waiting));
  }
}

Backend& Worker::backend_of(const conf::Listen& listen) {
  auto it = backends_.find(listen.backend);
  HF_CHECK(it != backends_.end());  // the configuration was checked
  return *it->second;
}

template <class Face>
std::unique_ptr<api::Face> make_face(const api::ApiContext& context, api::Wire& wire) {
  return std::make_unique<Face>(context, wire);
}

ApiHome::MakeFace face_of(conf::ApiProtocol protocol) {
  switch (protocol) {
    case conf::ApiProtocol::http:
      break;
    case conf::ApiProtocol::resp:
      return make_face<api::RespFace>;
    case conf::ApiProtocol::router:
      return make_face<api::RouterFace>;
  }
  return make_face<api::HttpFace>;
}

void Worker::build_listeners() {
  for (const InheritedListener& inherited : heritage_.listeners) {
    Listener::OnAccept on_accept;
    if (inherited.is_api) {
      const conf::Api& conf = config_.apis[inherited.index];
      api::ApiContext context{
          &config_,           &conf, heritage_.segment, heritage_.slot, &router_, &runtime_.stats,
          &runtime_.draining, &hub_, &router_.tracer(), &complaints_};
      ApiHome& home =
          api_homes_.emplace_back(runtime_, connections_, context, face_of(conf.protocol));
      on_accept = [this, &home](UniqueFd fd, const shm::SessionOrigin&) {
        auto connection = std::make_unique<ApiConnection>(home, std::move(fd));
        ApiConnection& started = *connection;
        connections_.add(std::move(connection));
        started.start();
      };
    } else {
      const conf::Listen& listen = config_.listens[inherited.index];
      ClientHome& home =
          client_homes_.emplace_back(ClientHome{runtime_, connections_, sessions_, listen,
                                                uint16_t(inherited.index), backend_of(listen)});
      on_accept = [this, &home](UniqueFd fd, const shm::SessionOrigin& origin) {
        auto client = std::make_unique<Client>(home, std::move(fd), origin);
        Client& started = *client;
        connections_.add(std::move(client));
        started.start();
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
    Backend& backend = known ? backend_of(listen) : *backends_.at("relay");
    backend.adopt(sessions_.adopt(view, listen, backend), view);
  }
  if (!orphans.empty())
    log_info("close events of a dead worker taken over count={}", orphans.size());
}

int Worker::run() {
  for (Listener& listener : listeners_) listener.start();
  control_.watch(kRead);
  head_.heartbeat_ms.store(monotonic_ms(), std::memory_order_relaxed);
  head_.pid.store(uint32_t(getpid()), std::memory_order_relaxed);  // the master may be slower
  head_.state.store(shm::SlotState::serving, std::memory_order_release);
  char ready = control_word::kReady;
  if (send(heritage_.control, &ready, 1, MSG_NOSIGNAL) != 1)
    log_warn("the master is gone before this worker was ready");
  log_info("worker ready slot={} generation={}", heritage_.slot, heritage_.generation);
  loop_.run(this);
  return 0;
}

// ---- the turn

bool Worker::before_wait() {
  router_.post().dispatch();
  bool more = flush_.run();
  // A flush can end a session and cause records (rare); they leave before the worker sleeps.
  router_.post().dispatch();
  if (more || router_.post().has_mail()) return true;
  router_.post().announce_sleep();
  if (!router_.post().has_mail()) return false;
  router_.post().announce_awake();
  return true;
}

void Worker::after_wait() {
  router_.post().announce_awake();
  runtime_.now_ms = monotonic_ms();
  head_.heartbeat_ms.store(runtime_.now_ms, std::memory_order_relaxed);
  runtime_.stats.loop_turns.add();
  router_.post().receive();
}

void Worker::on_tick() {
  runtime_.now_ms = monotonic_ms();
  wheel_.advance(runtime_.now_ms);
  router_.tick();
  for (auto& [name, backend] : backends_) backend->tick();
  for (Listener& listener : listeners_) listener.tick();
  if (!parting_) return;
  close_a_share();
  bool late = runtime_.now_ms >= parting_->until_ms;
  if (late || runtime_.stopping) wind_up(late ? WindUp::all : WindUp::unopened);
  if (!is_done()) return;
  for (auto& [name, backend] : backends_) backend->abandon();
  log_info("worker ends slot={}", heritage_.slot);
  loop_.stop();
}

// ---- going

void Worker::on_control(short) {
  char words[16];
  ssize_t got = recv(heritage_.control, words, sizeof words, MSG_DONTWAIT);
  if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (got > 0) {
    for (ssize_t i = 0; i < got; ++i) on_word(words[i]);
    return;
  }
  control_.watch(0);
  log_error("the master is gone; accepting no more, draining for {} ms",
            config_.server.drain_timeout_ms);
  drain({runtime_.now_ms + config_.server.drain_timeout_ms, 1012, EndReason::reload, true}, true);
}

void Worker::on_word(char word) {
  const conf::Server& server = config_.server;
  switch (word) {
    case control_word::kDrain:
      return drain({runtime_.now_ms + server.drain_timeout_ms, 1012, EndReason::reload, true},
                   false);
    case control_word::kQuit:
      return drain({runtime_.now_ms + server.stop_timeout_ms, 1001, EndReason::stop, false}, true);
    case control_word::kTerm:
      return stop_now();
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
  on_word(signal == SIGTERM ? control_word::kTerm : control_word::kQuit);
}

// A later word may hurry what is under way, never slow it down: a stop does not become a drain when the master dies.
void Worker::drain(Parting parting, bool empty_queues) {
  bool stop = parting.reason == EndReason::stop;
  if (runtime_.stopping && !stop) return;
  if (parting_) parting.until_ms = std::min(parting.until_ms, parting_->until_ms);
  runtime_.stopping = stop;
  if (!runtime_.draining) {
    runtime_.draining = true;
    for (Listener& listener : listeners_) listener.stop(empty_queues);
    listeners_.clear();
    // Only now: the master closes the sockets of removed listeners when it reads this.
    head_.state.store(shm::SlotState::draining, std::memory_order_release);
    for (auto& [name, backend] : backends_) backend->drain();
    log_info("worker drains slot={} sessions={}", heritage_.slot, sessions_.live());
  }
  parting_ = parting;
  parting_->from_ms = runtime_.now_ms;
  parting_->sessions = sessions_.live();
}

void Worker::stop_now() {
  drain({runtime_.now_ms, 1001, EndReason::stop, false}, true);
  wind_up(WindUp::all);
}

void Worker::wind_up(WindUp what) {
  connections_.for_each([what](Connection& connection) { connection.wind_up(what); });
}

// As many sessions may stay as there is time left, so that clients do not come back all at once, and the last one
// only when the time is up.
void Worker::close_a_share() {
  size_t live = sessions_.live();
  uint64_t left = parting_->until_ms > runtime_.now_ms ? parting_->until_ms - runtime_.now_ms : 0;
  uint64_t whole = std::max<uint64_t>(parting_->until_ms - parting_->from_ms, 1);
  size_t may_stay = size_t((parting_->sessions * left + whole - 1) / whole);
  if (live <= may_stay) return;
  size_t share = live - may_stay;
  // Who is just connecting would be refused: it is let in first, as long as there is time.
  bool unopened_too = left == 0 || runtime_.stopping;
  std::vector<Session*> leaving;
  sessions_.for_each_live([&](Session& session) {
    if (leaving.size() < share && (unopened_too || session.phase == SessionPhase::open))
      leaving.push_back(&session);
  });
  std::string_view text =
      parting_->reason == EndReason::reload ? "service restart" : "server stopping";
  for (Session* session : leaving)
    if (session->client != nullptr) session->client->close(parting_->code, text, parting_->reason);
}

bool Worker::is_done() const {
  uint64_t farewell =
      parting_->wait_for_close_events ? kFarewellMs : config_.server.stop_timeout_ms;
  uint64_t events = 0;  // an application that never answers must not keep this process for ever
  if (parting_->wait_for_close_events) {
    for (const auto& [name, backend] : config_.backends)
      events = std::max(events, backend.close_retry_ms);
  }
  uint64_t give_up = parting_->until_ms + farewell;
  bool connections_done = connections_.size() == 0 || runtime_.now_ms >= give_up;
  bool sessions_done = sessions_.size() == 0 || runtime_.now_ms >= give_up + events;
  return connections_done && sessions_done;
}

}  // namespace

int worker_main(const Heritage& heritage) {
  Worker worker(heritage);
  return worker.run();
}

}  // namespace holdfast
