// Channels whose messages are kept, while workers are killed, reloaded with other numbers, and replaced: what was answered with a
// position is there, once, at that position, and followers see every message in order.
#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <map>
#include <mutex>
#include <set>
#include <thread>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr const char* kChannel = "chat.x";

GatewayOptions options(unsigned workers, unsigned history_size = 100'000) {
  return {
      .workers = workers,
      .server = "max_workers = 8\n",
      .tables = relay_ws() +
                "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n"
                "[[channel]]\npattern = \"chat.*\"\nhistory_bytes = \"2 MiB\"\nhistory_size = " +
                std::to_string(history_size) + "\n"};
}

// A RESP reply, as a flat list of its words; an empty list: the connection has ended.
std::vector<std::string> read_reply(Stream& stream) {
  std::string line = stream.read_until("\r\n");
  if (line.size() < 3) return {};
  std::string rest = line.substr(1, line.size() - 3);
  if (line[0] == '$') {
    if (rest == "-1") return {""};
    std::string bytes = stream.read_exactly(std::stoul(rest) + 2);
    return {bytes.substr(0, bytes.size() - 2)};
  }
  if (line[0] != '*') return {line.substr(0, line.size() - 2)};
  std::vector<std::string> words;
  for (size_t n = std::stoul(rest); n > 0; --n)
    for (std::string& word : read_reply(stream)) words.push_back(std::move(word));
  return words;
}

uint64_t offset_of(const std::string& position) {
  return std::stoull(position.substr(position.find(':') + 1));
}
std::string epoch_of(const std::string& position) {
  return position.substr(0, position.find(':'));
}

// What several threads found out, checked at the end.
struct Ledger {
  std::mutex mutex;
  std::map<uint64_t, std::string>
      answered;  // by offset: the data that its publisher was told has it
  std::set<std::string> epochs;
  size_t twice = 0;  // an offset that two publishers were told
};

// Publishes one message after the other until it is told to stop; connects again when its worker dies.
void publish_all_the_time(const std::string& api, int number, const std::atomic<bool>& stop,
                          Ledger& ledger) {
  int n = 0;
  while (!stop) try {
      Stream stream(api);
      while (!stop) {
        std::string data = std::to_string(number) + "-" + std::to_string(++n);
        stream.write("HF.PUBLISH " + std::string(kChannel) + " " + data + "\r\n");
        std::vector<std::string> reply = read_reply(stream);
        if (reply.size() != 6 || reply[3].empty()) continue;  // not known whether it is kept
        std::lock_guard lock(ledger.mutex);
        ledger.epochs.insert(epoch_of(reply[3]));
        ledger.twice += !ledger.answered.emplace(offset_of(reply[3]), data).second;
      }
    } catch (const std::exception&) {
      // its worker was killed
    }
}

// Follows the channel from its beginning, over as many connections as it takes.
class Follower {
 public:
  Follower(std::string api, std::string since) : api_(std::move(api)), at_(std::move(since)) {}

  // Asks, and reads nothing yet.
  void begin() {
    stream_ = std::make_unique<Stream>(api_);
    stream_->write("HF.SUBSCRIBE " + std::string(kChannel) + " SINCE " + at_ + "\r\n");
    ++connections;
  }
  // Until the message with this data.
  void follow_to(const std::string& last) {
    bool done = false;
    while (!done && wrong.empty()) try {
        if (!stream_) begin();
        while (!done && wrong.empty()) done = take(read_reply(*stream_), last);
      } catch (const Timeout&) {
        wrong = "nothing came for too long";
      } catch (const std::exception&) {
        stream_.reset();  // its worker was killed
      }
  }

  std::map<uint64_t, std::string> got;
  std::string wrong;
  int connections = 0;

 private:
  bool take(const std::vector<std::string>& words, const std::string& last) {
    if (words.empty()) throw std::runtime_error("ended");
    if (words[0] == "hf.subscribe") {
      if (words.size() != 4 || words[3] != ":1") wrong = "not recovered since " + at_;
      return false;
    }
    if (words.size() != 4 || words[0] != "hf.message") {
      wrong = "not a message: " + words[0];
      return false;
    }
    if (epoch_of(words[2]) != epoch_of(at_)) wrong = "another epoch";
    if (offset_of(words[2]) != offset_of(at_) + 1) wrong = words[2] + " after " + at_;
    at_ = words[2];
    got[offset_of(at_)] = words[3];
    return words[3] == last;
  }

  std::string api_, at_;
  std::unique_ptr<Stream> stream_;
};

class Streams : public testing::Test {
 protected:
  std::string resp() const { return gw_.api(1); }
  std::vector<std::string> ask(const std::string& command) const {
    Stream stream(resp());
    stream.write(command + "\r\n");
    return read_reply(stream);
  }
  std::string publish(const std::string& data) const {
    std::vector<std::string> reply = ask("HF.PUBLISH " + std::string(kChannel) + " " + data);
    return reply.size() == 6 ? reply[3] : "";
  }
  void reload_with(unsigned workers) {
    GatewayOptions other = options(workers);
    gw_.write_config(other);
    uint64_t next = gw_.generation() + 1;
    gw_.signal(SIGHUP);
    ASSERT_TRUE(eventually([&] { return gw_.generation() == next; })) << gw_.log();
  }
  void kill_worker(uint16_t slot) {
    pid_t pid = gw_.worker(slot);
    ASSERT_GT(pid, 0);
    kill(pid, SIGKILL);
    ASSERT_TRUE(eventually([&] { return gw_.worker(slot) != pid && gw_.worker(slot) > 0; }));
  }
  // Publishers and followers, and `trouble` beside them.
  void under_load(const std::function<void()>& trouble) {
    std::string first = publish("first");
    ASSERT_EQ(offset_of(first), 1u);
    Ledger ledger;
    std::atomic<bool> stop = false;
    std::vector<std::thread> threads;
    std::vector<Follower> followers;
    for (int i = 0; i < 3; ++i) followers.emplace_back(resp(), first);
    for (Follower& follower : followers) threads.emplace_back([&] { follower.follow_to("last"); });
    for (int i = 0; i < 3; ++i)
      threads.emplace_back([&, i] { publish_all_the_time(resp(), i, stop, ledger); });
    trouble();
    stop = true;
    for (size_t i = followers.size(); i < threads.size(); ++i) threads[i].join();
    std::string last;
    EXPECT_TRUE(eventually([&] { return !(last = publish("last")).empty(); }));
    for (size_t i = 0; i < followers.size(); ++i) threads[i].join();
    EXPECT_EQ(ledger.twice, 0u);
    EXPECT_EQ(ledger.epochs, std::set<std::string>{epoch_of(first)});
    for (Follower& follower : followers) {
      EXPECT_EQ(follower.wrong, "") << gw_.log();
      check(ledger, follower);
    }
  }
  void check(const Ledger& ledger, const Follower& follower) {
    std::set<std::string> all;
    std::map<char, int> newest;
    for (const auto& [offset, data] : follower.got) {
      EXPECT_TRUE(all.insert(data).second || data == "last") << data << " twice";
      if (data == "last") continue;
      int n = std::stoi(data.substr(2));
      EXPECT_GT(n, newest[data[0]]) << "of one publisher out of order";
      newest[data[0]] = n;
    }
    for (const auto& [offset, data] : ledger.answered) {
      auto at = follower.got.find(offset);
      if (at == follower.got.end()) {
        ADD_FAILURE() << data << " at " << offset << " is missing";
        return;
      }
      ASSERT_EQ(at->second, data) << "at " << offset;
    }
    EXPECT_GT(ledger.answered.size(), 100u);
  }
  uint64_t appended() const { return gw_.counter("streams.appended"); }
  // Something has happened meanwhile.
  void let_publish(uint64_t messages) {
    uint64_t until = appended() + messages;
    EXPECT_TRUE(eventually([&] { return appended() >= until; })) << gw_.log();
  }

  Gateway gw_{options(2)};
};

TEST_F(Streams, OutliveKilledWorkers) {
  under_load([&] {
    for (int round = 0; round < 6; ++round) {
      let_publish(200);
      ASSERT_NO_FATAL_FAILURE(kill_worker(uint16_t(round % 2)));
    }
    let_publish(200);
  });
}

TEST_F(Streams, GoOnOverReloadsWithMoreAndFewerWorkers) {
  under_load([&] {
    auto moves_beyond = [&](uint64_t moved) {
      return eventually([&] { return gw_.counter("streams.moved") > moved; });
    };
    EXPECT_TRUE(moves_beyond(0));  // all begin at the first worker
    for (unsigned workers : {4, 1, 3, 2}) {
      uint64_t moved = gw_.counter("streams.moved");
      let_publish(200);
      ASSERT_NO_FATAL_FAILURE(reload_with(workers));
      EXPECT_TRUE(moves_beyond(moved)) << workers << " workers\n" << gw_.ctl({"workers"}).output;
    }
    let_publish(200);
  });
}

TEST_F(Streams, GoOnOverUpgrades) {
  under_load([&] {
    for (int round = 0; round < 3; ++round) {
      let_publish(200);
      Finished upgraded = gw_.ctl({"upgrade"});
      ASSERT_EQ(upgraded.status, 0) << upgraded.output << gw_.log();
    }
    let_publish(200);
  });
}

// Each has missed ten messages when it comes, and those that are published until its question is answered. Ten thousand with
// HF_RECOVERING=10000.
TEST_F(Streams, ACrowdRecoversAtOnceUnderPublishesAtFullRate) {
  const char* wanted = std::getenv("HF_RECOVERING");
  size_t crowd = wanted != nullptr ? std::stoul(wanted) : 500;
  std::string first = publish("first");
  Ledger ledger;
  std::atomic<bool> stop = false;
  std::vector<std::thread> publishers;
  for (int i = 0; i < 3; ++i)
    publishers.emplace_back([&, i] { publish_all_the_time(resp(), i, stop, ledger); });
  let_publish(100);
  std::vector<Follower> followers;
  std::vector<uint64_t> since;
  for (size_t i = 0; i < crowd; ++i) {
    std::unique_lock lock(ledger.mutex);
    since.push_back(ledger.answered.rbegin()->first - 10);
    lock.unlock();
    followers.emplace_back(resp(), epoch_of(first) + ":" + std::to_string(since.back()));
    followers.back().begin();
  }
  EXPECT_EQ(gw_.counter_becomes("streams.recovered", crowd), crowd);
  let_publish(10);
  stop = true;
  for (std::thread& publisher : publishers) publisher.join();
  ASSERT_FALSE(publish("last").empty());
  for (size_t i = 0; i < crowd; ++i) {
    Follower& follower = followers[i];
    follower.follow_to("last");
    ASSERT_EQ(follower.wrong, "") << gw_.log();
    EXPECT_EQ(follower.connections, 1);
    for (auto at = ledger.answered.upper_bound(since[i]); at != ledger.answered.end(); ++at)
      ASSERT_EQ(follower.got[at->first], at->second);
  }
}

TEST_F(Streams, AreReadAndEmptiedByEveryProtocol) {
  std::string first = publish("one");
  HttpClient http(gw_.api());
  HttpAnswer published =
      http.post("/v1/publish", R"({"channels":["chat.x","plain"],"data":"two","version":7})");
  EXPECT_EQ(published.status, 200);
  EXPECT_NE(published.body.find("\"positions\":{\"chat.x\":\"" + epoch_of(first) + ":2\"}"),
            std::string::npos)
      << published.body;
  HttpAnswer older =
      http.post("/v1/publish", R"({"channels":["chat.x"],"data":"old","version":7})");
  EXPECT_NE(older.body.find("\"superseded\":[\"chat.x\"]"), std::string::npos) << older.body;
  HttpAnswer history = http.get("/v1/channels/chat.x/history?since=" + first);
  EXPECT_EQ(history.status, 200);
  EXPECT_NE(history.body.find("\"complete\":true,\"messages\":[{\"position\":\"" + epoch_of(first) +
                              ":2\","),
            std::string::npos)
      << history.body;
  EXPECT_NE(history.body.find("\"data\":\"two\"}],\"more\":false"), std::string::npos)
      << history.body;
  EXPECT_EQ(http.get("/v1/channels/chat.x/history?since=junk").status, 400);
  EXPECT_EQ(http.get("/v1/channels/chat.x/history?limit=2000").status, 400);
  EXPECT_EQ(http.get("/v1/channels/plain/history").status, 404);
  EXPECT_NE(http.get("/v1/channels/chat.x").body.find("\"history\":{\"position\":"),
            std::string::npos);
  std::vector<std::string> asked = ask("HF.HISTORY chat.x SINCE " + first + " LIMIT 5");
  EXPECT_EQ(asked.back(), "two");
  EXPECT_EQ(http.request("DELETE", "/v1/channels/chat.x/history").status, 200);
  EXPECT_EQ(http.get("/v1/channels/chat.x/history?since=" + first).body.find("\"complete\":true"),
            std::string::npos);
  EXPECT_EQ(publish("three"), epoch_of(first) + ":3");
}

TEST_F(Streams, AKeyRepeatsThePosition) {
  HttpClient http(gw_.api());
  std::string body = R"({"channels":["chat.x"],"data":"once","id":"the key"})";
  HttpAnswer first = http.post("/v1/publish", body), again = http.post("/v1/publish", body);
  EXPECT_EQ(first.body, again.body);
  EXPECT_NE(first.body.find(":1\"}"), std::string::npos) << first.body;
  EXPECT_EQ(offset_of(publish("another")), 2u);
}

TEST_F(Streams, SubscribersAreToldIfSomethingIsGone) {
  GatewayOptions small = options(2, 2);
  gw_.write_config(small);
  uint64_t next = gw_.generation() + 1;
  gw_.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw_.generation() == next; })) << gw_.log();
  std::string first = publish("1");
  for (const char* data : {"2", "3", "4"}) publish(data);
  std::vector<std::string> told = ask("HF.SUBSCRIBE chat.x SINCE " + first);
  EXPECT_EQ(told,
            (std::vector<std::string>{"hf.subscribe", "chat.x", epoch_of(first) + ":4", ":0"}));
  EXPECT_EQ(ask("HF.SUBSCRIBE chat.x SINCE nonsense").front().substr(0, 5), "-ERR ");
  EXPECT_EQ(ask("HF.SUBSCRIBE plain SINCE " + first),
            (std::vector<std::string>{"hf.subscribe", "plain", "", ":0"}));
  EXPECT_EQ(gw_.counter("streams.unrecovered"), 1u);
}

}  // namespace
}  // namespace holdfast::test
