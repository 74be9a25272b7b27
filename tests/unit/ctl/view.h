// tests/unit/ctl/view.h - a segment of the test's own, mapped once as the master has it and once as
// holdfastctl has it.
#pragma once

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <simdjson.h>
#include <unistd.h>

#include <optional>
#include <string>

#include "shm/segment.h"

namespace holdfast::ctl {

class View : public testing::Test {
 protected:
  static constexpr uint32_t kPerSlab = 8;

  void SetUp() override {
    std::string name = "ctltest-" + std::to_string(getpid()) + "-view";
    auto created = shm::Segment::create(
        {name, "/run/" + name, 7},
        {.max_workers = 3, .max_sessions = kPerSlab, .filter_buckets = 16, .mailbox_bytes = 4096});
    ASSERT_TRUE(created) << created.error().text();
    master_.emplace(std::move(*created));
    auto attached = shm::Segment::attach(name);
    ASSERT_TRUE(attached) << attached.error().text();
    guest_.emplace(std::move(*attached));
  }

  shm::Slab slab(uint16_t slot) {
    return {master_->directory(), slot, 7, master_->stats(slot).slab_high_water};
  }

  std::optional<shm::Segment> master_, guest_;
};

inline shm::SessionOrigin from_ipv4(const char* address, uint16_t port) {
  shm::SessionOrigin origin;
  origin.peer.s6_addr[10] = origin.peer.s6_addr[11] = 0xff;
  inet_pton(AF_INET, address, origin.peer.s6_addr + 12);
  origin.peer_port = port;
  return origin;
}

// One line, and JSON.
inline bool is_json_line(const std::string& line) {
  simdjson::dom::parser parser;
  simdjson::dom::element parsed;
  return parser.parse(line).get(parsed) == simdjson::SUCCESS && line.find('\n') == line.size() - 1;
}

}  // namespace holdfast::ctl
