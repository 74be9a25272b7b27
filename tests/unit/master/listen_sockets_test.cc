#include "master/listen_sockets.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include <set>

#include "master/generation.h"
#include "master/socket_open.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/master/forked.h"

namespace holdfast::master {
namespace {

// A configuration that listens at these addresses, with `workers` workers.
class ListenSocketsOf : public testing::Test {
 protected:
  conf::Config config_of(unsigned workers, const std::vector<std::string>& listens,
                         const std::vector<std::string>& apis = {}) const {
    conf::Config config;
    config.server.workers = workers;
    config.server.runtime_dir = dir.path();
    for (const std::string& text : listens) {
      conf::Listen listen;
      listen.address = *conf::parse_address(text);
      config.listens.push_back(listen);
    }
    for (const std::string& text : apis) {
      conf::Api api;
      api.address = *conf::parse_address(text);
      config.apis.push_back(api);
    }
    return config;
  }
  void open(const conf::Config& config) {
    auto opened = sockets.open(config, {});
    ASSERT_TRUE(opened) << opened.error().text();
    sockets.commit(config);
  }
  std::set<int> fds(const conf::Config& config, unsigned ordinal) const {
    std::set<int> set;
    for (const InheritedListener& one : sockets.share_of(config, ordinal)) set.insert(one.fd);
    return set;
  }
  std::string address(const conf::Config& config, size_t n) const {
    return sockets.bound(config).at(n).address;
  }
  static bool connects(const std::string& text) {
    conf::Address address = *conf::parse_address(text);
    UniqueFd fd(socket(address.raw.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0));
    return connect(fd.get(), reinterpret_cast<const sockaddr*>(&address.raw), address.raw_bytes) ==
           0;
  }
  std::string unix_address(const std::string& name) const { return "unix:" + (dir / name); }
  static mode_t mode_of(const std::string& path) {
    struct stat found {};
    EXPECT_EQ(stat(path.c_str(), &found), 0);
    return found.st_mode & 07777;
  }

  conf::TempDir dir;
  ListenSockets sockets;
};

TEST_F(ListenSocketsOf, GiveEachWorkerItsOwnSocketOfOnePort) {
  conf::Config config = config_of(3, {"127.0.0.1:0"});
  open(config);
  std::set<int> all;
  std::set<uint16_t> ports;
  for (unsigned ordinal = 0; ordinal < 3; ++ordinal)
    for (const InheritedListener& one : sockets.share_of(config, ordinal)) {
      all.insert(one.fd);
      ports.insert(bound_port(one.fd));
    }
  EXPECT_EQ(all.size(), 3u);
  EXPECT_EQ(ports.size(), 1u);
  EXPECT_NE(*ports.begin(), 0);
}

TEST_F(ListenSocketsOf, NameTheConfigurationsEntryOfEachSocket) {
  conf::Config config = config_of(1, {"127.0.0.1:0", "[::1]:0"}, {"127.0.0.1:0"});
  open(config);
  auto share = sockets.share_of(config, 0);
  ASSERT_EQ(share.size(), 3u);
  EXPECT_EQ(share[1].index, 1u);
  EXPECT_FALSE(share[1].is_api);
  EXPECT_EQ(share[2].index, 0u);
  EXPECT_TRUE(share[2].is_api);
  EXPECT_EQ(bound_address(share[1].fd).substr(0, 6), "[::1]:");
}

TEST_F(ListenSocketsOf, KeepLanesWhenWorkersBecomeFewerAndShareThemOut) {  // L1
  conf::Config four = config_of(4, {"127.0.0.1:0"}), two = config_of(2, {"127.0.0.1:0"});
  open(four);
  std::vector<int> lane;
  for (unsigned ordinal = 0; ordinal < 4; ++ordinal) lane.push_back(*fds(four, ordinal).begin());
  open(two);
  EXPECT_EQ(fds(two, 0), (std::set<int>{lane[0], lane[2]}));
  EXPECT_EQ(fds(two, 1), (std::set<int>{lane[1], lane[3]}));
}

TEST_F(ListenSocketsOf, OpenMoreLanesWhenWorkersBecomeMore) {
  conf::Config one = config_of(1, {"127.0.0.1:0"}), three = config_of(3, {"127.0.0.1:0"});
  open(one);
  std::string before = address(one, 0);
  int first = *fds(one, 0).begin();
  open(three);
  EXPECT_EQ(fds(three, 0), (std::set<int>{first}));
  EXPECT_EQ(fds(three, 2).size(), 1u);
  EXPECT_EQ(address(three, 0), before);
}

TEST_F(ListenSocketsOf, KeepTheirPortsAcrossReloadsEachItsOwn) {  // L3
  conf::Config before = config_of(1, {"127.0.0.1:0", "127.0.0.1:0"}, {"127.0.0.1:0"});
  open(before);
  conf::Config after = config_of(2, {"127.0.0.1:0", "127.0.0.1:0"}, {"127.0.0.1:0"});
  open(after);
  std::set<std::string> distinct;
  for (size_t n = 0; n < 3; ++n) {
    EXPECT_EQ(address(after, n), address(before, n));
    distinct.insert(address(after, n));
  }
  EXPECT_EQ(distinct.size(), 3u);
}

TEST_F(ListenSocketsOf, ShareOneUnixSocketAmongAllWorkers) {
  conf::Config config = config_of(2, {unix_address("l.sock")});
  open(config);
  EXPECT_EQ(fds(config, 0), fds(config, 1));
  EXPECT_EQ(mode_of(dir / "l.sock"), mode_t(0660));
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

TEST_F(ListenSocketsOf, KeepTheBuiltInApiToTheirOwner) {
  conf::Config config = config_of(1, {}, {unix_address("other.sock")});
  ASSERT_TRUE(add_builtin_api(config));
  open(config);
  EXPECT_EQ(mode_of(dir / "api.sock"), mode_t(0600));
  EXPECT_EQ(mode_of(dir / "other.sock"), mode_t(0660));
}

TEST_F(ListenSocketsOf, ReplaceAStaleUnixSocket) {
  {
    ListenSockets former;
    conf::Config config = config_of(1, {unix_address("l.sock")});
    ASSERT_TRUE(former.open(config, {}));
    std::filesystem::rename(dir / "l.sock", dir / "kept.sock");
  }
  std::filesystem::rename(dir / "kept.sock", dir / "l.sock");
  ASSERT_FALSE(connects(unix_address("l.sock")));
  open(config_of(1, {unix_address("l.sock")}));
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

TEST_F(ListenSocketsOf, LeaveAUnixSocketAloneAtWhichSomebodyAnswers) {
  ListenSockets other;
  conf::Config config = config_of(1, {unix_address("l.sock")});
  ASSERT_TRUE(other.open(config, {}));
  auto opened = sockets.open(config, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::busy);
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

TEST_F(ListenSocketsOf, TakeOverAUnixSocketOfAKilledMastersDrainers) {
  ListenSockets drainers;
  conf::Config config = config_of(1, {unix_address("l.sock")});
  ASSERT_TRUE(drainers.open(config, {}));
  ASSERT_TRUE(sockets.open(config, {.take_over = true}));
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

TEST_F(ListenSocketsOf, LeaveAFileAloneThatIsNoSocket) {
  std::string path = dir.write("l.sock", "precious");
  auto opened = sockets.open(config_of(1, {"unix:" + path}), {});
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("not a socket"), std::string::npos);
  EXPECT_EQ(access(path.c_str(), F_OK), 0);
}

TEST_F(ListenSocketsOf, RemoveOnlyTheirOwnNames) {  // L4
  conf::Config config = config_of(1, {unix_address("l.sock")});
  auto mine = std::make_unique<ListenSockets>();
  ASSERT_TRUE(mine->open(config, {}));
  ListenSockets successor;
  ASSERT_TRUE(successor.open(config, {.take_over = true}));
  mine.reset();
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

// SO_REUSEPORT alone would let it share the port without a word.
TEST_F(ListenSocketsOf, RefuseAPortThatAnotherInstanceListensAt) {
  ListenSockets other;
  conf::Config anywhere = config_of(1, {"127.0.0.1:0"});
  ASSERT_TRUE(other.open(anywhere, {}));
  conf::Config same = config_of(2, {other.bound(anywhere)[0].address});
  auto opened = sockets.open(same, {});
  ASSERT_FALSE(opened);
  EXPECT_EQ(opened.error().code, Errc::busy);
  EXPECT_NE(opened.error().text().find("listen[0].address"), std::string::npos);
  EXPECT_TRUE(sockets.open(same, {.take_over = true}));  // but a killed master's port is ours
}

TEST_F(ListenSocketsOf, TakeAWildcardAndOneOfItsAddressesTogether) {
  conf::Config anywhere = config_of(1, {"127.0.0.1:0"});
  std::string port;
  {
    ListenSockets probe;
    ASSERT_TRUE(probe.open(anywhere, {}));
    port = probe.bound(anywhere)[0].address.substr(10);
  }
  open(config_of(2, {"0.0.0.0:" + port, "127.0.0.1:" + port}));
  open(
      config_of(2, {"0.0.0.0:" + port, "[::]:" + port}));  // and a reload may add to a port of ours
}

TEST_F(ListenSocketsOf, OpenNothingWhenOneAddressFails) {  // L2
  conf::Config before = config_of(1, {"127.0.0.1:0"});
  open(before);
  std::string blocked = dir.write("b.sock", "no socket");
  conf::Config wanted = config_of(3, {"127.0.0.1:0", unix_address("new.sock"), "unix:" + blocked});
  ASSERT_FALSE(sockets.open(wanted, {}));
  EXPECT_NE(access((dir / "new.sock").c_str(), F_OK), 0);
  EXPECT_EQ(sockets.bound(before)[0].lanes, 1u);
  EXPECT_FALSE(sockets.has_unused(before));
}

TEST_F(ListenSocketsOf, ForgetWhatWasOpenedWhenRolledBack) {  // L2
  conf::Config before = config_of(1, {"127.0.0.1:0"});
  open(before);
  conf::Config wanted = config_of(2, {"127.0.0.1:0", unix_address("new.sock"), "[::1]:0"});
  ASSERT_TRUE(sockets.open(wanted, {}));
  std::string added = address(wanted, 2);
  EXPECT_TRUE(connects(added));
  sockets.roll_back();
  EXPECT_FALSE(connects(added));
  EXPECT_NE(access((dir / "new.sock").c_str(), F_OK), 0);
  EXPECT_EQ(sockets.bound(before)[0].lanes, 1u);
  EXPECT_TRUE(connects(address(before, 0)));
}

TEST_F(ListenSocketsOf, StayOpenWhenRemovedUntilToldThatNobodyAccepts) {
  conf::Config both = config_of(1, {"127.0.0.1:0", unix_address("l.sock")}),
               one = config_of(1, {"[::1]:0"});
  open(both);
  std::string removed = address(both, 0);
  open(one);
  EXPECT_TRUE(sockets.has_unused(one));
  EXPECT_TRUE(connects(removed));
  EXPECT_EQ(sockets.close_unused(one), 2u);
  EXPECT_FALSE(connects(removed));
  EXPECT_NE(access((dir / "l.sock").c_str(), F_OK), 0);
  EXPECT_FALSE(sockets.has_unused(one));
}

TEST_F(ListenSocketsOf, LeaveAChildOnlyItsOwn) {
  conf::Config config = config_of(2, {"127.0.0.1:0", unix_address("l.sock")});
  open(config);
  test::Forked child([&] {
    auto mine = sockets.share_of(config, 0), others = sockets.share_of(config, 1);
    sockets.close_in_child(mine);
    for (const InheritedListener& one : mine)
      if (fcntl(one.fd, F_GETFD) == -1) return 1;
    if (fcntl(others[0].fd, F_GETFD) != -1) return 2;
    return 0;
  });
  EXPECT_EQ(child.exit_status(), 0);
  EXPECT_TRUE(connects(unix_address("l.sock")));
}

}  // namespace
}  // namespace holdfast::master
