// tests/system/returning.h - a client that comes back to its session, for the tests of that.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <optional>
#include <string>
#include <utility>

#include "tests/harness/gateway.h"
#include "tests/harness/wait.h"

namespace holdfast::test {

// 22 digits of base64url that are 16 bytes.
inline std::string key_number(unsigned n) {
  return fmt::format("Holdfast-tests_{:06}A", n);
}

inline std::string resuming(const std::string& window = "60s", const std::string& more = {}) {
  return "resume = \"" + window + "\"\n" + more;
}

// As the client of an application would do it: keeps key, session and count.
class Returning {
 public:
  Returning(Gateway& gw, unsigned number, std::string query = {})
      : gw_(gw), key_(key_number(number)), query_(std::move(query)) {
    open("");
  }
  void come_back() { open(fmt::format("&seen={}&session={}", seen_, session_)); }
  // Without the session's name, as the simplest client does it.
  void come_back_by_count(uint64_t seen) { open(fmt::format("&seen={}", seen)); }
  std::string next() {
    std::string text = client().next_text();
    ++seen_;
    return text;
  }
  // By a reset: no close frame, no end of file.
  void cut() {
    linger hard{1, 0};
    ASSERT_EQ(setsockopt(client().stream().fd(), SOL_SOCKET, SO_LINGER, &hard, sizeof hard), 0);
    client().stream().close();
  }
  WsClient& client() { return *client_; }
  bool resumed() const { return hello_.find("\"resumed\":true") != std::string::npos; }
  const std::string& hello() const { return hello_; }
  const std::string& session() const { return session_; }
  const std::string& key() const { return key_; }
  uint64_t seen() const { return seen_; }

 private:
  void open(const std::string& more) {
    client_.emplace(gw_.listener(), "/ws?resume=" + key_ + more + query_);
    hello_ = client_->next_text();
    std::string before = std::exchange(session_, client_->session());
    EXPECT_NE(hello_.find("\"session\":\"" + session_ + "\""), std::string::npos) << hello_;
    if (before != session_) seen_ = 0;
  }

  Gateway& gw_;
  std::string key_, query_, hello_, session_;
  uint64_t seen_ = 0;
  std::optional<WsClient> client_;
};

inline void push(Gateway& gw, const Returning& to, const std::string& text) {
  HttpAnswer answer = HttpClient(gw.api()).post("/v1/send", send_body({to.session()}, text));
  ASSERT_NE(answer.body.find("\"delivered\":1"), std::string::npos) << answer.body;
}

inline void reload(Gateway& gw) {
  uint64_t next = gw.generation() + 1;
  gw.signal(SIGHUP);
  ASSERT_TRUE(eventually([&] { return gw.generation() == next; })) << gw.log();
}

}  // namespace holdfast::test
