// A reload while one of its processes dies or stands still, at every fault point of the hand-over: in the end one
// process serves each slot, and nobody is closed but the clients of a slot whose own process died.

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>
#include <deque>
#include <filesystem>
#include <future>
#include <list>
#include <optional>
#include <regex>
#include <set>
#include <tuple>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

enum class Fate : uint8_t {
  kept,       // every client goes on
  slot_lost,  // the clients of one slot are closed, its next process is of the new generation
  drained,    // the master is gone: every client goes on, until the workers have drained
};

struct Point {
  const char* name;
  Fate dies;           // kill, segv, exit
  Fate stops;          // for good; the master, which nobody watches, is continued by the test
  const char* server;  // lines of [server] where it stops
};

void PrintTo(const Point& point, std::ostream* out) {
  *out << point.name;
}

// A predecessor is the slot's process up to the commit, a successor from the commit on: whose process dies, dies with
// its clients. A process that stops is ended by the heartbeat watch where the slot is its own. A successor's silence
// before the commit is the predecessor's to bear, which has a heartbeat meanwhile and gives up after 5 s.
const char* const kWatched = "hang_timeout = \"1s\"";
const char* const kShorterThanPatience = "hang_timeout = \"2s\"";

const Point kPoints[] = {
    {"handover.begin", Fate::slot_lost, Fate::slot_lost, kWatched},
    {"handover.session_sent", Fate::slot_lost, Fate::slot_lost, kWatched},
    {"handover.all_sent", Fate::slot_lost, Fate::slot_lost, kWatched},
    {"handover.before_commit", Fate::slot_lost, Fate::slot_lost, kWatched},
    {"handover.after_commit", Fate::kept, Fate::kept, kWatched},
    {"takeover.begin", Fate::kept, Fate::kept, kShorterThanPatience},
    {"takeover.parcel", Fate::kept, Fate::kept, kShorterThanPatience},
    {"takeover.before_ready", Fate::kept, Fate::kept, kShorterThanPatience},
    // The predecessor has its answer, and commits to whom it came from.
    {"takeover.after_ready", Fate::slot_lost, Fate::slot_lost, kWatched},
    {"master.reload_forked", Fate::drained, Fate::kept, ""},
    {"master.takeover_asked", Fate::drained, Fate::kept, ""},
    {"master.takeover_done", Fate::drained, Fate::kept, ""},
};

// The points of an upgrade are walked in upgrade_test.cc.
TEST(HandoverFaultPoints, AllThatTheSourceHasAreTested) {
  std::set<std::string> tested, found;
  for (const Point& point : kPoints) tested.insert(point.name);
  const std::regex call("HF_FAULT\\(\\s*\"([^\"]*)\"");
  for (const char* room : {"worker", "master"}) {
    auto root = std::filesystem::path(HOLDFAST_SOURCE_ROOT) / room;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root)) {
      std::string suffix = entry.path().extension();
      if (suffix != ".cc" && suffix != ".h") continue;
      std::string text = read_file(entry.path());
      for (std::sregex_iterator at(text.begin(), text.end(), call), end; at != end; ++at)
        if ((*at)[1].str().rfind("upgrade.", 0) != 0) found.insert((*at)[1]);
    }
  }
  EXPECT_EQ(found, tested);
}

// ---- processes, as /proc/PID/stat has them

struct ProcessLine {
  pid_t pid, parent, group;
  char state;  // 'T' stopped, 'Z' dead, but not reaped yet
};

std::vector<ProcessLine> living_processes() {
  std::vector<ProcessLine> lines;
  for (const auto& entry : std::filesystem::directory_iterator("/proc")) {
    pid_t pid = std::atoi(entry.path().filename().c_str());
    if (pid <= 0) continue;
    std::string text = read_file(entry.path() / "stat");
    size_t behind_name = text.rfind(')');
    ProcessLine line{pid, 0, 0, 'Z'};
    if (behind_name == std::string::npos ||
        std::sscanf(text.c_str() + behind_name, ") %c %d %d", &line.state, &line.parent,
                    &line.group) != 3)
      continue;  // it has ended meanwhile
    if (line.state != 'Z' && line.state != 'X') lines.push_back(line);
  }
  return lines;
}

std::set<pid_t> children_of(pid_t parent) {
  std::set<pid_t> pids;
  for (const ProcessLine& line : living_processes())
    if (line.parent == parent) pids.insert(line.pid);
  return pids;
}

// A gateway is a process group: its workers are in it even when their master is gone.
std::set<pid_t> members_of(pid_t group, const char* states = nullptr) {
  std::set<pid_t> pids;
  for (const ProcessLine& line : living_processes())
    if (line.group == group && (states == nullptr || std::strchr(states, line.state) != nullptr))
      pids.insert(line.pid);
  return pids;
}

// ---- clients

std::string echo_tcp() {
  std::string text = relay_tcp();
  text.replace(text.find("\"relay\""), 7, "\"echo\"");
  size_t channels = text.find("channels");
  return text.erase(channels, text.find('\n', channels) + 1 - channels);
}

// Knows what it is to hear: its own words, in their order.
struct Client {
  uint16_t slot = 0;
  std::optional<WsClient> web;  // one of them
  std::optional<LengthClient> line;
  std::deque<std::string> owed;

  void say(const std::string& text) {
    owed.push_back(text);
    web ? web->send_text(text) : line->send(text);
  }
  std::string next() { return web ? web->next_text() : line->next(); }
  bool at_end() { return web ? web->stream().at_end() : line->stream().at_end(); }
};

using Case = std::tuple<Point, std::string>;

class HandoverFault : public ::testing::TestWithParam<Case> {
 protected:
  static constexpr unsigned kWorkers = 2;

  // The deaths are ordered: nobody wants their cores.
  static void SetUpTestSuite() {
    getrlimit(RLIMIT_CORE, &cores_);
    rlimit none{0, cores_.rlim_max};
    setrlimit(RLIMIT_CORE, &none);
  }
  static void TearDownTestSuite() { setrlimit(RLIMIT_CORE, &cores_); }

  HandoverFault() : gw_(options()) {}

  const Point& point() const { return std::get<0>(GetParam()); }
  const std::string& action() const { return std::get<1>(GetParam()); }
  bool stops() const { return action() == "stop"; }
  bool hits_master() const { return std::string_view(point().name).starts_with("master."); }
  Fate fate() const { return stops() ? point().stops : point().dies; }

  void connect_everybody();
  void order_fault() { write_file(fault_file(), point().name + (" " + action() + "\n")); }
  bool fault_happened() const { return !std::filesystem::exists(fault_file()); }
  void say(const std::string& text);
  void expect_answers();
  void expect_echo(const std::string& text);
  void expect_newcomers_served();
  void expect_one_process_each(uint32_t generation);
  void expect_one_stands_still();
  void expect_converged();
  void lose_the_clients_of_the_lost_slot();
  void expect_drained_without_master();

  TempDir fault_dir_;
  Gateway gw_;
  std::list<Client> clients_;  // that are to be served

 private:
  GatewayOptions options() const {
    std::string server = "drain_timeout = \"60s\"\n";
    if (stops()) server += point().server;
    return {.workers = kWorkers,
            .server = server,
            .tables = echo_ws() + echo_tcp(),
            .environment = {{"HF_FAULT_FILE", fault_file()}}};
  }
  std::string fault_file() const { return fault_dir_ / "order"; }
  bool one_process_each(uint32_t generation) const;
  unsigned crashes(uint16_t slot) const;
  uint16_t slot_that_grew(const std::vector<uint64_t>& before) const;
  std::vector<uint64_t> sessions_of_slots() const;
  std::set<pid_t> serving_pids() const;
  bool all_slots_are(shm::SlotState state) const;

  static inline rlimit cores_{};
};

std::vector<uint64_t> HandoverFault::sessions_of_slots() const {
  std::vector<uint64_t> online;
  for (uint16_t slot = 0; slot < kWorkers; ++slot)
    online.push_back(gw_.segment().stats(slot).sessions_online.get());
  return online;
}

uint16_t HandoverFault::slot_that_grew(const std::vector<uint64_t>& before) const {
  std::vector<uint64_t> now;
  if (!eventually([&] { return (now = sessions_of_slots()) != before; }))
    throw std::runtime_error("a client got no session");
  return uint16_t(std::mismatch(now.begin(), now.end(), before.begin()).first - now.begin());
}

// Two of each kind on each slot, at least; the kernel chooses the slot.
void HandoverFault::connect_everybody() {
  for (bool web : {true, false}) {
    std::vector<unsigned> connected(kWorkers);
    while (*std::min_element(connected.begin(), connected.end()) < 2) {
      ASSERT_LT(clients_.size(), 200u) << "a slot gets no clients";
      std::vector<uint64_t> before = sessions_of_slots();
      Client& client = clients_.emplace_back();
      if (web)
        client.web.emplace(gw_.listener(0), "/ws");
      else
        client.line.emplace(gw_.listener(1));
      client.slot = slot_that_grew(before);
      ++connected[client.slot];
    }
  }
}

void HandoverFault::say(const std::string& text) {
  size_t number = 0;
  for (Client& client : clients_) client.say(text + " " + std::to_string(++number));
}

void HandoverFault::expect_answers() {
  for (Client& client : clients_) {
    for (; !client.owed.empty(); client.owed.pop_front())
      ASSERT_EQ(client.next(), client.owed.front()) << "slot " << client.slot;
  }
}

void HandoverFault::expect_echo(const std::string& text) {
  say(text);
  expect_answers();
}

void HandoverFault::expect_newcomers_served() {
  for (WsClient& fresh : gw_.one_on_each("/ws", {0, 1})) {
    fresh.send_text("hello");
    EXPECT_EQ(fresh.next_text(), "hello");
  }
  LengthClient line(gw_.listener(1));
  line.send("hello");
  EXPECT_EQ(line.next(), "hello");
}

std::set<pid_t> HandoverFault::serving_pids() const {
  std::set<pid_t> pids;
  for (uint16_t slot = 0; slot < kWorkers; ++slot) pids.insert(gw_.worker(slot));
  return pids;
}

bool HandoverFault::all_slots_are(shm::SlotState state) const {
  for (uint16_t slot = 0; slot < kWorkers; ++slot)
    if (gw_.segment().slot(slot).state.load() != state) return false;
  return true;
}

// As many processes as slots, each alive, the master's child, and named by the head of its slot.
bool HandoverFault::one_process_each(uint32_t generation) const {
  std::set<pid_t> serving;
  for (uint16_t slot = 0; slot < kWorkers; ++slot) {
    const shm::SlotHead& head = gw_.segment().slot(slot);
    // The generation comes last: a successor stores it when it knows that the slot is its own.
    if (head.state.load() != shm::SlotState::serving || head.generation.load() != generation)
      return false;
    serving.insert(gw_.worker(slot));
  }
  return serving.size() == kWorkers && children_of(gw_.master()) == serving;
}

void HandoverFault::expect_one_process_each(uint32_t generation) {
  EXPECT_TRUE(eventually([&] { return one_process_each(generation); }))
      << "children: " << testing::PrintToString(children_of(gw_.master()))
      << ", in the segment: " << testing::PrintToString(serving_pids());
  EXPECT_EQ(gw_.serving_slots().size(), kWorkers);
  EXPECT_EQ(gw_.counter_becomes("sessions.online", clients_.size()), clients_.size());
  EXPECT_EQ(gw_.counter_becomes("connections.open", clients_.size()), clients_.size());
}

// Where that is the master, nobody notices.
void HandoverFault::expect_one_stands_still() {
  std::set<pid_t> stopped;
  ASSERT_TRUE(eventually([&] { return !(stopped = members_of(gw_.master(), "T")).empty(); }));
  EXPECT_EQ(stopped.size(), 1u);
  EXPECT_EQ(stopped.contains(gw_.master()), hits_master());
  if (!hits_master()) return;
  ASSERT_NO_FATAL_FAILURE(expect_echo("without the master"));
  ASSERT_NO_FATAL_FAILURE(expect_newcomers_served());
  gw_.signal(SIGCONT);
}

unsigned HandoverFault::crashes(uint16_t slot) const {
  return gw_.segment().slot(slot).restarts.load();
}

void HandoverFault::lose_the_clients_of_the_lost_slot() {
  if (fate() != Fate::slot_lost) return;
  ASSERT_TRUE(eventually([&] { return crashes(0) + crashes(1) == 1; }));
  uint16_t lost = crashes(0) == 1 ? 0 : 1;
  for (Client& client : clients_) EXPECT_TRUE(client.slot != lost || client.at_end());
  std::erase_if(clients_, [lost](const Client& client) { return client.slot == lost; });
}

// And the next reload finds nothing in its way.
void HandoverFault::expect_converged() {
  ASSERT_NO_FATAL_FAILURE(lose_the_clients_of_the_lost_slot());
  for (uint32_t generation : {2u, 3u}) {
    ASSERT_NO_FATAL_FAILURE(expect_answers());
    ASSERT_NO_FATAL_FAILURE(expect_one_process_each(generation));
    ASSERT_NO_FATAL_FAILURE(expect_echo("after"));
    EXPECT_EQ(crashes(0) + crashes(1), fate() == Fate::slot_lost ? 1u : 0u);
    if (generation == 3) return;
    Finished again = gw_.ctl({"reload"});
    EXPECT_EQ(again.status, 0) << again.output;
  }
}

// Its workers serve whom they have, each slot by one process, and the next master starts beside them.
void HandoverFault::expect_drained_without_master() {
  pid_t former = gw_.master();
  ASSERT_NE(gw_.process().wait_for_end(timeout_ms()), -1);
  EXPECT_TRUE(eventually([&] {
    return all_slots_are(shm::SlotState::draining) && members_of(former) == serving_pids();
  })) << "alive: "
      << testing::PrintToString(members_of(former))
      << ", in the segment: " << testing::PrintToString(serving_pids());
  std::set<pid_t> orphans = serving_pids();
  EXPECT_EQ(orphans.size(), kWorkers);
  EXPECT_EQ(gw_.counter_becomes("sessions.online", clients_.size()), clients_.size());
  gw_.start();
  ASSERT_NO_FATAL_FAILURE(expect_echo("beside the next master"));
  EXPECT_EQ(members_of(former), orphans);
  for (pid_t pid : orphans) kill(pid, SIGTERM);
  for (Client& client : clients_) {
    if (!client.web) continue;
    EXPECT_EQ(client.web->wait_close(), 1001);
    client.web->close(1001);
  }
  for (Client& client : clients_) EXPECT_TRUE(client.at_end());
  clients_.clear();
  EXPECT_TRUE(eventually([&] { return members_of(former).empty(); }));
}

TEST_P(HandoverFault, OneProcessServes) {
  ASSERT_NO_FATAL_FAILURE(connect_everybody());
  ASSERT_NO_FATAL_FAILURE(expect_echo("before"));
  order_fault();
  say("meanwhile");
  auto reload = std::async(std::launch::async, [&] { return gw_.ctl({"reload"}); });
  ASSERT_TRUE(eventually([&] { return fault_happened(); }));
  if (fate() == Fate::drained) {
    EXPECT_NE(reload.get().status, 0);
    ASSERT_NO_FATAL_FAILURE(expect_drained_without_master());
  } else {
    ASSERT_NO_FATAL_FAILURE(if (stops()) expect_one_stands_still());
    Finished done = reload.get();
    EXPECT_EQ(done.status, 0) << done.output;
    ASSERT_NO_FATAL_FAILURE(expect_converged());
  }
  ASSERT_NO_FATAL_FAILURE(expect_newcomers_served());
  clients_.clear();
  EXPECT_EQ(gw_.counter_becomes("sessions.online", 0), 0u);
  EXPECT_EQ(gw_.stop(), 0);
}

// Processes are forked in the very turn that ends a reload, where another one was asked meanwhile: none of them may
// keep the connection of whom the first one is answered to, who reads until it ends.
TEST(HandoverFaultAnswer, ReachesWhoAskedThoughTheNextReloadFollowsAtOnce) {
  TempDir dir;
  Gateway gw({.tables = echo_ws(), .environment = {{"HF_FAULT_FILE", dir / "order"}}});
  write_file(dir / "order", "master.takeover_asked stop\n");
  auto reload = std::async(std::launch::async, [&] { return gw.ctl({"reload"}); });
  ASSERT_TRUE(eventually([&] { return !members_of(gw.master(), "T").empty(); }));
  gw.signal(SIGHUP);
  gw.signal(SIGCONT);
  Finished done = reload.get();
  EXPECT_EQ(done.status, 0) << done.output;
  EXPECT_TRUE(eventually([&] { return gw.generation() == 3; }));
}

std::string name_of(const testing::TestParamInfo<Case>& info) {
  std::string name = std::get<0>(info.param).name + ("_" + std::get<1>(info.param));
  std::replace(name.begin(), name.end(), '.', '_');
  return name;
}

INSTANTIATE_TEST_SUITE_P(Handover, HandoverFault,
                         ::testing::Combine(::testing::ValuesIn(kPoints),
                                            ::testing::Values("kill", "segv", "exit", "stop")),
                         name_of);

}  // namespace
}  // namespace holdfast::test
