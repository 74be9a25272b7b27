// tests/system/crowd_fixture.h - a gateway with everything behind it, and a crowd that uses all of it.
#pragma once

#include <gtest/gtest.h>
#include <signal.h>

#include <map>
#include <sstream>
#include <string>
#include <vector>

#include "tests/harness/crowd.h"
#include "tests/harness/fpm.h"
#include "tests/harness/gateway.h"
#include "tests/system/tables.h"

namespace holdfast::test {

// Logs connect and close events, sends messages back.
inline const char* const kCrowdApp = R"PHP(
$event = $_SERVER['HOLDFAST_EVENT'];
if ($event === 'message') { echo file_get_contents('php://input'); exit; }
file_put_contents(LOGFILE, $event . ' ' . $_SERVER['SESSIONID'] . ' ' . ($_SERVER['HOLDFAST_REASON'] ?? '') . "\n",
    FILE_APPEND | LOCK_EX);
)PHP";

// What the application was told of one session.
struct Told {
  unsigned connects = 0, closes = 0;
  std::string reason;
};

inline std::map<std::string, Told> told_of(const std::string& app_log) {
  std::map<std::string, Told> told;
  std::istringstream lines(app_log);
  std::string line;
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    std::string event, id;
    words >> event >> id;
    if (event == "connect") ++told[id].connects;
    if (event != "close") continue;
    ++told[id].closes;
    std::getline(words >> std::ws, told[id].reason);
  }
  return told;
}

class CrowdTest : public testing::Test {
 protected:
  // `start`: only its environment and binary are looked at.
  explicit CrowdTest(const GatewayOptions& start = {}) : gw_(with(start)) {}

  // About 100 times `scale` connections.
  CrowdOptions everybody(unsigned scale) {
    CrowdOptions crowd;
    crowd.add(CrowdKind::echo, gw_.listener(0), 60 * scale);
    crowd.add(CrowdKind::relay, gw_.listener(1), 32 * scale);
    crowd.add(CrowdKind::tcp, gw_.listener(2), 16);
    crowd.add(CrowdKind::php, gw_.listener(3), 2 * scale);
    crowd.add(CrowdKind::subscriber, gw_.api(1), 4 * scale);
    crowd.add(CrowdKind::http_pusher, gw_.api(0), 4);
    crowd.add(CrowdKind::resp_pusher, gw_.api(1), 4);
    crowd.push_pace_ms = 100;
    return crowd;
  }

  // Everybody has something to say in the meantime.
  void go_on(Crowd& crowd) {
    ASSERT_TRUE(crowd.exchange(crowd.clients())) << crowd.state_text();
    ASSERT_EQ(crowd.violations(), 0u) << crowd.violation_text();
  }

  // The sums of the counters fit who is there; nothing is owed to anybody.
  void expect_exact(Crowd& crowd) {
    crowd.settle();
    ASSERT_EQ(crowd.violations(), 0u) << crowd.violation_text();
    EXPECT_EQ(gw_.counter_becomes("sessions.online", crowd.clients()), crowd.clients());
    EXPECT_EQ(gw_.counter("sessions.opened") - gw_.counter("sessions.closed") -
                  gw_.counter("sessions.crashed"),
              crowd.clients());
    EXPECT_EQ(in_directory(), crowd.clients());
    EXPECT_EQ(gw_.counter_becomes("bytes.unsent", 0), 0u);
  }

  // Everybody leaves, and of nobody anything remains.
  void expect_nothing_left(Crowd& crowd) {
    expect_all_gone(crowd);
    EXPECT_EQ(gw_.counter("events.close"), gw_.counter("events.connect"));
    for (const auto& [id, told] : told_of(fpm_.app_log())) {
      EXPECT_LE(told.connects, 1u) << id;
      EXPECT_EQ(told.closes, 1u) << id << " " << told.reason;
    }
  }

  void expect_all_gone(Crowd& crowd) {
    crowd.leave();
    EXPECT_EQ(crowd.violations(), 0u) << crowd.violation_text();
    for (const char* gauge :
         {"sessions.online", "connections.open", "channels.local", "channels.memberships",
          "resp.subscriptions", "events.close_owed", "mailbox.overflow_bytes"})
      EXPECT_EQ(gw_.counter_becomes(gauge, 0), 0u) << gauge;
    EXPECT_EQ(gw_.counter("events.close_lost"), 0u);
    EXPECT_EQ(in_directory(), 0u);
    for (int room = 0; room < 100; ++room)
      gw_.segment().filter().for_each("room" + std::to_string(room), [&](uint32_t slot) {
        ADD_FAILURE() << "room" << room << " still routed to " << slot;
      });
  }

  const GatewayOptions& with(const GatewayOptions& start) {
    options_.environment = start.environment;
    options_.holdfastd = start.holdfastd;
    return options_;
  }

  size_t in_directory() const {
    shm::SessionDirectory directory = gw_.segment().directory();
    size_t n = 0;
    for (uint32_t slot = 0; slot < directory.slots(); ++slot)
      for (uint32_t i = 0; i < directory.used(slot); ++i)
        n += directory.view(slot * directory.per_slab() + i).has_value();
    return n;
  }

  Fpm fpm_{kCrowdApp};
  GatewayOptions options_{.workers = 3,
                          .server = "hang_timeout = \"2s\"\ndrain_timeout = \"1s\"",
                          .tables = echo_ws() + relay_ws() + relay_tcp() + app_ws() +
                                    fpm_.backend() +
                                    "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n"};
  Gateway gw_;
};

}  // namespace holdfast::test
