#include "ctl/http_client.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <thread>

#include "base/fd.h"

namespace holdfast::ctl {
namespace {

constexpr std::string_view kAnswer =
    "HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\ncontent-length:  2\r\n\r\n{}";

// The answer in pieces of so many bytes; the connection ends behind them.
Result<HttpAnswer> answer_in(std::string_view bytes, size_t piece = 1000) {
  AnswerReader reader;
  Result<bool> whole = false;
  for (size_t at = 0; at < bytes.size() && whole && !*whole; at += piece)
    whole = reader.feed(bytes.substr(at, piece));
  if (whole && !*whole) whole = reader.end();
  if (!whole) return whole.error();
  return reader.answer();
}

TEST(HttpClient, AnswerIsWholeOnlyWithItsLastByte) {
  for (size_t n = 0; n < kAnswer.size(); ++n)
    EXPECT_FALSE(answer_in(kAnswer.substr(0, n))) << "cut off at " << n;
  for (size_t piece = 1; piece <= kAnswer.size(); ++piece) {
    Result<HttpAnswer> whole = answer_in(kAnswer, piece);
    ASSERT_TRUE(whole) << piece;
    EXPECT_EQ(whole->status, 404);
    EXPECT_EQ(whole->body, "{}");
  }
  std::string followed(kAnswer);
  followed += "more";
  EXPECT_EQ(answer_in(followed)->body, "{}");
}

TEST(HttpClient, BodyWithoutLengthEndsWithTheConnection) {
  Result<HttpAnswer> ended = answer_in("HTTP/1.1 200 OK\r\n\r\nabc");
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->body, "abc");
}

TEST(HttpClient, AnswersOfOtherServersAreRefused) {
  for (const char* bytes :
       {"SSH-2.0-x\r\n\r\n", "HTTP/1.1 20 OK\r\n\r\n", "HTTP/1.1 999 X\r\n\r\n",
        "HTTP/1.1 101 X\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: x\r\n\r\n",
        "HTTP/1.1 200 OK\r\nContent-Length: 99999999999\r\n\r\n",
        "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"}) {
    Result<HttpAnswer> answer = answer_in(bytes);
    ASSERT_FALSE(answer) << bytes;
    EXPECT_EQ(answer.error().code, Errc::bad_input);
    EXPECT_TRUE(answer.error().text().starts_with("the answer is not one of the API: "));
  }
  EXPECT_FALSE(answer_in("HTTP/1.1 200 OK\r\nX: " + std::string(100'000, 'x')));
}

TEST(HttpClient, OnlyARequestWithABodyIsAPost) {
  EXPECT_TRUE(make_request("/v1/channels", "").starts_with("GET /v1/channels HTTP/1.1\r\n"));
  std::string post = make_request("/v1/send", "{}");
  EXPECT_TRUE(post.starts_with("POST /v1/send HTTP/1.1\r\n"));
  EXPECT_NE(post.find("Content-Length: 2\r\n"), std::string::npos);
  EXPECT_TRUE(post.ends_with("\r\n\r\n{}"));
}

// A listening socket in its own folder, and one connection served by `serve` in a thread.
class OneShotServer {
 public:
  template <class Serve>
  explicit OneShotServer(Serve serve) {
    char pattern[] = "/tmp/ctl-test-XXXXXX";
    folder_ = mkdtemp(pattern);
    listener_ = UniqueFd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, path().c_str());
    bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address);
    listen(listener_.get(), 1);
    thread_ = std::thread([this, serve] {
      UniqueFd connection(accept(listener_.get(), nullptr, nullptr));
      serve(connection.get());
    });
  }
  ~OneShotServer() {
    thread_.join();
    std::filesystem::remove_all(folder_);
  }
  std::string path() const { return folder_ + "/s"; }

 private:
  std::string folder_;
  UniqueFd listener_;
  std::thread thread_;
};

std::string read_until(int fd, std::string_view end) {
  std::string bytes;
  char c;
  while (!bytes.ends_with(end) && read(fd, &c, 1) == 1) bytes += c;
  return bytes;
}

TEST(HttpClient, CallSendsTheBodyAndReturnsTheAnswer) {
  std::string seen;
  Result<HttpAnswer> answer = Error{Errc::io};
  {
    OneShotServer server([&](int fd) {
      seen = read_until(fd, "\r\n\r\n{\"a\":1}");
      EXPECT_EQ(write(fd, kAnswer.data(), kAnswer.size()), ssize_t(kAnswer.size()));
    });
    answer = call_api(server.path(), "/v1/send", "{\"a\":1}");
  }
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->status, 404);
  EXPECT_TRUE(seen.starts_with("POST /v1/send HTTP/1.1\r\n"));
}

TEST(HttpClient, ServerThatNeverAnswersCostsTheTimeoutOnly) {
  OneShotServer server([](int fd) { read_until(fd, "never"); });
  Result<HttpAnswer> answer = call_api(server.path(), "/v1/channels", "", 50);
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::limit);
}

TEST(HttpClient, AnswerBeforeTheBodyWasReadIsSeen) {
  Result<HttpAnswer> answer = Error{Errc::io};
  {
    OneShotServer server([&](int fd) {
      std::string_view refusal = "HTTP/1.1 413 X\r\nContent-Length: 2\r\n\r\n{}";
      EXPECT_EQ(write(fd, refusal.data(), refusal.size()), ssize_t(refusal.size()));
      shutdown(fd, SHUT_RD);
    });
    answer = call_api(server.path(), "/v1/send", std::string(4 << 20, 'x'));
  }
  ASSERT_TRUE(answer) << answer.error().text();
  EXPECT_EQ(answer->status, 413);
}

TEST(HttpClient, NobodyListeningIsGone) {
  Result<HttpAnswer> answer = call_api("/nonexistent/api.sock", "/v1/channels", "");
  ASSERT_FALSE(answer);
  EXPECT_EQ(answer.error().code, Errc::gone);
  Result<HttpAnswer> too_long = call_api("/" + std::string(200, 'x'), "/v1/channels", "");
  ASSERT_FALSE(too_long);
  EXPECT_EQ(too_long.error().code, Errc::limit);
}

}  // namespace
}  // namespace holdfast::ctl
