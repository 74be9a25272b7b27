// The worker's side and the process that asks, between them a real socket; "localhost" stands in every /etc/hosts.
#include "worker/backends/resolver.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/socket.h>

#include <functional>
#include <memory>

#include "base/clock.h"
#include "master/resolver_process.h"
#include "tests/unit/backends/fcgi/fake_server.h"

namespace holdfast {
namespace {

struct Asker final : fcgi::Lookups::Asker {
  void on_addresses(size_t which, std::vector<conf::Address>&& found) override {
    ++answers;
    last = which;
    addresses = std::move(found);
  }
  int answers = 0;
  size_t last = 0;
  std::vector<conf::Address> addresses;
};

// A process with a resolver does not wait for it; other tests do wait for their children.
class ResolverTest : public ::testing::Test {
 protected:
  ~ResolverTest() override { signal(SIGCHLD, SIG_DFL); }
  bool turn_until(const std::function<bool()>& done) { return fcgi::turn_until(loop_, done); }
  Loop loop_;
  std::unique_ptr<shm::StatsBlock> stats_ = std::make_unique<shm::StatsBlock>();
  Asker asker_;
};

TEST_F(ResolverTest, NamesAreLookedUpByAProcessOfItsOwn) {
  auto fd = master::start_resolver();
  ASSERT_TRUE(fd);
  Resolver resolver(loop_, fd->get(), *stats_);
  resolver.ask("localhost:9000", asker_, 7);
  EXPECT_EQ(asker_.answers, 0) << "never inside ask()";
  ASSERT_TRUE(turn_until([&] { return asker_.answers == 1; }));
  EXPECT_EQ(asker_.last, 7u);
  ASSERT_FALSE(asker_.addresses.empty());
  for (const conf::Address& address : asker_.addresses) {
    EXPECT_TRUE(address.is_loopback()) << address.text;
    EXPECT_EQ(address.port(), 9000);
  }
  resolver.ask("..:1", asker_, 8);
  ASSERT_TRUE(turn_until([&] { return asker_.answers == 2; }));
  EXPECT_TRUE(asker_.addresses.empty());
  EXPECT_EQ(stats_->backend_lookups.get(), 2u);
  EXPECT_EQ(stats_->backend_lookups_failed.get(), 1u);
}

TEST_F(ResolverTest, WithoutAProcessNothingIsFound) {
  Resolver resolver(loop_, -1, *stats_);
  resolver.ask("localhost:9000", asker_, 1);
  EXPECT_EQ(asker_.answers, 0);
  resolver.tick(monotonic_ms());
  EXPECT_EQ(asker_.answers, 1);
  EXPECT_TRUE(asker_.addresses.empty());
}

TEST_F(ResolverTest, AnswersAreSortedBoundedAndOnlyForWhoStillAsks) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, ends), 0);
  UniqueFd near(ends[0]), far(ends[1]);
  Resolver resolver(loop_, near.get(), *stats_);
  Asker gone;
  resolver.ask("gone:1", gone, 0);
  resolver.ask("here:1", asker_, 0);
  resolver.forget(gone);
  auto reply = [&](uint64_t number, std::string text) {
    std::string packet(reinterpret_cast<const char*>(&number), sizeof number);
    packet += text;
    ASSERT_EQ(send(far.get(), packet.data(), packet.size(), 0), ssize_t(packet.size()));
  };
  std::string many;
  for (int i = 250; i > 200; --i) many += "192.0.2." + std::to_string(i) + ":1 ";
  reply(1, "192.0.2.1:1");
  reply(99, "192.0.2.1:1");
  reply(2, many + "nonsense unix:/x [2001:db8::1]:1");
  ASSERT_TRUE(turn_until([&] { return asker_.answers == 1; }));
  EXPECT_EQ(gone.answers, 0);
  ASSERT_EQ(asker_.addresses.size(), fcgi::Lookups::kMaxAddresses);
  EXPECT_EQ(asker_.addresses[0].text, "192.0.2.201:1");
  resolver.ask("late:1", asker_, 0);
  uint64_t now = monotonic_ms();
  resolver.tick(now);
  resolver.tick(now + Resolver::kDeadlineMs);
  EXPECT_EQ(asker_.answers, 2);
}

}  // namespace
}  // namespace holdfast
