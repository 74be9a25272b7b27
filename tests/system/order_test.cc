// Pushes over one API connection reach one session in the order they were sent, whichever worker holds the session, whichever
// operation addresses it, and however many answers are still due. Between two connections there is no order.

#include <gtest/gtest.h>

#include <map>
#include <random>
#include <thread>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"
#include "tests/system/tables.h"

namespace holdfast::test {
namespace {

constexpr int kPushes = 600;  // of each publisher
constexpr int kWindow = 40;   // requests on their way

std::string resp(const std::vector<std::string>& words) {
  std::string request = "*" + std::to_string(words.size()) + "\r\n";
  for (const std::string& word : words)
    request += "$" + std::to_string(word.size()) + "\r\n" + word + "\r\n";
  return request;
}

std::string http(const std::string& path, const std::string& body) {
  return "POST " + path +
         " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(body.size()) +
         "\r\n\r\n" + body;
}

// Addresses the receiver in a different way each time: by itself, its user, its channel, or as everybody.
class Publisher {
 public:
  Publisher(char name, unsigned seed) : name_(name), random_(seed) {}
  virtual ~Publisher() = default;

  void run(const WsClient& receiver) {
    for (int n = 0; n < kPushes; ++n) {
      std::string text = name_ + std::to_string(n);
      stream().write(request(random_() % 4, receiver.session(), text));
      if (++due_ >= kWindow) take_answer();
    }
    while (due_ > 0) take_answer();
  }

 protected:
  virtual Stream& stream() = 0;
  virtual std::string request(unsigned kind, const std::string& session,
                              const std::string& text) = 0;
  virtual void read_answer() = 0;

 private:
  void take_answer() {
    read_answer();
    --due_;
  }
  char name_;
  std::mt19937 random_;
  int due_ = 0;
};

class HttpPublisher final : public Publisher {
 public:
  HttpPublisher(char name, unsigned seed, HttpClient client)
      : Publisher(name, seed), client_(std::move(client)) {}

 private:
  Stream& stream() override { return client_.stream(); }
  std::string request(unsigned kind, const std::string& session, const std::string& text) override {
    std::string data = ",\"data\":\"" + text + "\"}";
    switch (kind) {
      case 0:
        return http("/v1/send", "{\"sessions\":[\"" + session + "\"]" + data);
      case 1:
        return http("/v1/send-user", "{\"users\":[\"ann\"]" + data);
      case 2:
        return http("/v1/publish", "{\"channels\":[\"room\"]" + data);
      default:
        return http("/v1/batch", "{\"commands\":[{\"op\":\"send-all\"" + data + "]}");
    }
  }
  void read_answer() override { ASSERT_EQ(client_.read_answer().status, 200); }
  HttpClient client_;
};

class RespPublisher final : public Publisher {
 public:
  RespPublisher(char name, unsigned seed, const std::string& address)
      : Publisher(name, seed), stream_(address) {}

 private:
  Stream& stream() override { return stream_; }
  std::string request(unsigned kind, const std::string& session, const std::string& text) override {
    switch (kind) {
      case 0:
        return resp({"HF.SEND", session, text});
      case 1:
        return resp({"HF.SENDUSER", "ann", text});
      case 2:
        return resp({"PUBLISH", "room", text});
      default:
        return resp({"HF.SENDALL", text});
    }
  }
  void read_answer() override { ASSERT_EQ(stream_.read_until("\r\n")[0], ':'); }
  Stream stream_;
};

// What one client got, by publisher; each must be 0, 1, 2, ... without a gap.
void expect_in_order(WsClient& client, size_t publishers) {
  std::map<char, int> next;
  for (size_t left = publishers * kPushes; left > 0; --left) {
    std::string text = client.next_text();
    ASSERT_EQ(text.substr(1), std::to_string(next[text[0]])) << "from " << text[0];
    ++next[text[0]];
  }
  EXPECT_EQ(next.size(), publishers);
}

// Takes what came for it besides.
void drain(WsClient& client, HttpClient& api) {
  ASSERT_EQ(api.post("/v1/send", send_body({client.session()}, "marker")).status, 200);
  while (client.next_text() != "marker") {
  }
}

TEST(Order, HoldsForEachOfFourPublishersOnAnyWorkerAndForEveryWayToAddress) {
  Gateway gw({.workers = 3,
              .tables = relay_ws() + "[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"resp\"\n"});
  // Every session answers to all four addresses, so each gets every push once.
  auto clients = gw.one_on_each("/ws?channel=room", {0, 1, 2});
  HttpClient api(gw.api());
  for (WsClient& client : clients)
    ASSERT_EQ(
        api.post("/v1/bind", "{\"session\":\"" + client.session() + "\",\"user\":\"ann\"}").status,
        200);
  for (WsClient& receiver : clients) {
    std::vector<std::unique_ptr<Publisher>> publishers;
    publishers.push_back(std::make_unique<HttpPublisher>('a', 1, gw.api_on(0)));
    publishers.push_back(std::make_unique<HttpPublisher>('b', 2, gw.api_on(1)));
    publishers.push_back(std::make_unique<RespPublisher>('c', 3, gw.api(1)));
    publishers.push_back(std::make_unique<RespPublisher>('d', 4, gw.api(1)));
    std::vector<std::thread> threads;
    for (auto& publisher : publishers) threads.emplace_back([&] { publisher->run(receiver); });
    expect_in_order(receiver, publishers.size());
    for (std::thread& thread : threads) thread.join();
    for (WsClient& other : clients)
      if (&other != &receiver) drain(other, api);
  }
}

}  // namespace
}  // namespace holdfast::test
