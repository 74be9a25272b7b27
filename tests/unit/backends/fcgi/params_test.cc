#include "worker/backends/fcgi/params.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>

#include <map>

namespace holdfast {
namespace {

using Params = std::map<std::string, std::string>;

size_t length_at(const std::string& text, size_t& at) {
  auto byte = [&] { return size_t(static_cast<unsigned char>(text[at++])); };
  size_t length = byte();
  if (length < 128) return length;
  length &= 0x7f;
  for (int n = 0; n < 3; ++n) length = length << 8 | byte();
  return length;
}

// Fails the test where a name comes twice.
Params decoded(const std::string& text) {
  Params all;
  for (size_t at = 0; at < text.size();) {
    size_t name = length_at(text, at);
    size_t value = length_at(text, at);
    EXPECT_TRUE(all.emplace(text.substr(at, name), text.substr(at + name, value)).second)
        << text.substr(at, name) << " twice";
    at += name + value;
  }
  return all;
}

conf::Backend backend() {
  conf::Backend made;
  made.script_filename = "/srv/app/public/gateway.php";
  made.document_root = "/srv/app";
  return made;
}

struct Shake {
  http::Request request{.method = "GET", .target = "/ws?a=1&b=2"};
  Opening opening{&request, "10.1.2.3", "10.0.0.1", 40'000, 8080};
  Session session;
  conf::Backend conf = backend();

  Shake() { session.id = {0x0001'0000'0002'beef, 0x0123'4567'89ab'cdef}; }
  void header(std::string name, std::string value) {
    request.headers.push_back({std::move(name), std::move(value)});
  }
  Params params() const { return decoded(session_params(conf, session, opening)); }
};

TEST(BackendParams, AreThoseOfCgi) {
  Params p = decoded(backend_params(backend(), 7));
  EXPECT_EQ(p["GATEWAY_INTERFACE"], "CGI/1.1");
  EXPECT_EQ(p["SERVER_SOFTWARE"], "holdfast/" HOLDFAST_VERSION);
  EXPECT_EQ(p["REQUEST_METHOD"], "POST");
  EXPECT_EQ(p["SCRIPT_FILENAME"], "/srv/app/public/gateway.php");
  EXPECT_EQ(p["SCRIPT_NAME"], "/public/gateway.php");
  EXPECT_EQ(p["DOCUMENT_ROOT"], "/srv/app");
  EXPECT_EQ(p["HOLDFAST_NODE"], "7");
}

TEST(BackendParams, ScriptNameOfAScriptElsewhereIsItsFileName) {
  conf::Backend conf = backend();
  for (const char* root : {"/srv/other", "/srv/ap", "/srv/app/public/gateway.php"}) {
    conf.document_root = root;
    EXPECT_EQ(decoded(backend_params(conf, 1))["SCRIPT_NAME"], "/gateway.php") << root;
  }
}

TEST(BackendParams, ConfiguredOnesWin) {
  conf::Backend conf = backend();
  conf.params = {{"SERVER_SOFTWARE", "mine"}, {"APP_ENV", "test"}, {"REMOTE_ADDR", "0.0.0.0"}};
  Params p = decoded(backend_params(conf, 1));
  EXPECT_EQ(p["SERVER_SOFTWARE"], "mine");
  EXPECT_EQ(p["APP_ENV"], "test");
  Shake shake;
  shake.conf = conf;
  EXPECT_FALSE(shake.params().contains("REMOTE_ADDR")) << "said by backend_params() already";
}

TEST(BackendParams, ConfiguredHeaderWinsOverTheClients) {
  Shake shake;
  shake.conf.params = {{"HTTP_X_TRUSTED", "gateway"}};
  shake.header("X-Trusted", "client");
  EXPECT_FALSE(shake.params().contains("HTTP_X_TRUSTED"));
}

TEST(SessionParams, AreThoseOfTheConnectionAndItsHandshake) {
  Shake shake;
  shake.header("Host", "www.example.com:8080");
  shake.header("X-Forwarded-For", "1.2.3.4");
  Params p = shake.params();
  EXPECT_EQ(p["REQUEST_URI"], "/ws?a=1&b=2");
  EXPECT_EQ(p["QUERY_STRING"], "a=1&b=2");
  EXPECT_EQ(p["REMOTE_ADDR"], "10.1.2.3");
  EXPECT_EQ(p["REMOTE_PORT"], "40000");
  EXPECT_EQ(p["SERVER_ADDR"], "10.0.0.1");
  EXPECT_EQ(p["SERVER_PORT"], "8080");
  EXPECT_EQ(p["SERVER_PROTOCOL"], "HTTP/1.1");
  EXPECT_EQ(p["SERVER_NAME"], "www.example.com");
  EXPECT_EQ(p["SESSIONID"], "000100000002beef0123456789abcdef");
  EXPECT_EQ(p["HTTP_HOST"], "www.example.com:8080");
  EXPECT_EQ(p["HTTP_X_FORWARDED_FOR"], "1.2.3.4");
}

TEST(SessionParams, ServerNameIsTheHostWithoutItsPort) {
  const std::pair<const char*, const char*> cases[] = {
      {"example.com", "example.com"},
      {"example.com:80", "example.com"},
      {"[::1]", "[::1]"},
      {"[::1]:8080", "[::1]"},
      {"", "10.0.0.1"},
  };
  for (auto [host, name] : cases) {
    Shake shake;
    if (*host != '\0') shake.header("Host", host);
    EXPECT_EQ(shake.params()["SERVER_NAME"], name) << host;
  }
}

// CVE-2016-5385: HTTP_PROXY would be taken for the proxy of the application's own requests.
TEST(SessionParams, ProxyHeaderIsNotPassedOn) {
  for (const char* name : {"Proxy", "proxy", "PROXY"}) {
    Shake shake;
    shake.header(name, "http://evil");
    EXPECT_FALSE(shake.params().contains("HTTP_PROXY")) << name;
  }
}

// An answer that is compressed can be no message.
TEST(SessionParams, NobodyIsAskedToCompress) {
  Shake shake;
  shake.header("accept-Encoding", "gzip, deflate, br");
  shake.header("Accept", "*/*");
  EXPECT_FALSE(shake.params().contains("HTTP_ACCEPT_ENCODING"));
  EXPECT_TRUE(shake.params().contains("HTTP_ACCEPT"));
}

// All of them would be HTTP_X_USER to an application: a client could forge what a proxy in front sets.
TEST(SessionParams, HeadersWithOtherSignsThanAHyphenAreNotPassedOn) {
  for (const char* name : {"X_User", "X.User", "X~User", "X!User", "X'User", "X|User"}) {
    Shake shake;
    shake.header(name, "forged");
    for (const auto& [param, value] : shake.params()) EXPECT_NE(value, "forged") << param;
    shake.header("X-User", "real");
    EXPECT_EQ(shake.params()["HTTP_X_USER"], "real") << name;
    Shake late;
    late.header("X-User", "real");
    late.header(name, "forged");
    EXPECT_EQ(late.params()["HTTP_X_USER"], "real") << name;
  }
  Shake shake;
  shake.header("Content.Length", "7");
  shake.header("Content_Type", "text/html");
  for (const auto& [name, value] : shake.params())
    EXPECT_EQ(name.find("CONTENT"), std::string::npos) << name;
}

TEST(SessionParams, NoHeaderIsTakenForAParameterOfOurs) {
  Shake shake;
  for (const char* name : {"Holdfast-User", "Holdfast-Event", "Event", "SessionId", "Remote-Addr"})
    shake.header(name, "forged");
  for (const auto& [name, value] : shake.params())
    EXPECT_TRUE(name.starts_with("HTTP_") || value != "forged") << name;
}

TEST(SessionParams, LengthAndTypeOfTheHandshakeAreNotThoseOfTheRequest) {
  Shake shake;
  shake.header("Content-Type", "text/html");
  shake.header("Content-Length", "0");
  Params p = shake.params();
  for (const char* name :
       {"HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "CONTENT_TYPE", "CONTENT_LENGTH"})
    EXPECT_FALSE(p.contains(name)) << name;
}

TEST(SessionParams, RepeatedHeadersAreOneParameter) {
  Shake shake;
  for (const char* value : {"a", "b"}) {
    shake.header("Cookie", value);
    shake.header("Accept", value);
  }
  Params p = shake.params();
  EXPECT_EQ(p["HTTP_COOKIE"], "a; b");
  EXPECT_EQ(p["HTTP_ACCEPT"], "a, b");
}

TEST(SessionParams, OfTcpSayThatThereWasNoRequest) {
  Shake shake;
  shake.opening.request = nullptr;
  Params p = shake.params();
  EXPECT_EQ(p["SERVER_PROTOCOL"], "TCP");
  EXPECT_EQ(p["REQUEST_URI"], "/");
  EXPECT_EQ(p["QUERY_STRING"], "");
  EXPECT_EQ(p["SERVER_NAME"], "10.0.0.1");
}

TEST(OrphanParams, SayWhatTheDirectoryKnows) {
  shm::SessionView view;
  view.id = {1, 2};
  view.origin.peer_port = 5;
  ASSERT_EQ(inet_pton(AF_INET6, "::ffff:1.2.3.4", &view.origin.peer), 1);
  Params p = decoded(orphan_params(backend(), view));
  EXPECT_EQ(p["REMOTE_ADDR"], "1.2.3.4");
  EXPECT_EQ(p["REMOTE_PORT"], "5");
  EXPECT_EQ(p["SESSIONID"], "00000000000000010000000000000002");
  ASSERT_EQ(inet_pton(AF_INET6, "2001:db8::1", &view.origin.peer), 1);
  EXPECT_EQ(decoded(orphan_params(backend(), view))["REMOTE_ADDR"], "2001:db8::1");
  view.origin.peer = {};
  EXPECT_EQ(decoded(orphan_params(backend(), view))["REMOTE_ADDR"], "") << "a unix socket";
}

TEST(RequestParams, NameTheEventAsBothConventionsDo) {
  Session session;
  session.ended_by = EndReason::kicked;
  session.ended_code = 4001;
  Params message = decoded(request_params(session, AppEvent::message, false, 12));
  EXPECT_EQ(message["HOLDFAST_EVENT"], "message");
  EXPECT_EQ(message["HOLDFAST_OPCODE"], "text");
  EXPECT_EQ(message["CONTENT_LENGTH"], "12");
  EXPECT_EQ(message["CONTENT_TYPE"], "text/plain; charset=utf-8");
  for (const char* name : {"EVENT", "HOLDFAST_REASON", "HOLDFAST_USER", "HOLDFAST_DATA"})
    EXPECT_FALSE(message.contains(name)) << name;
  Params binary = decoded(request_params(session, AppEvent::message, true, 0));
  EXPECT_EQ(binary["HOLDFAST_OPCODE"], "binary");
  EXPECT_EQ(binary["CONTENT_TYPE"], "application/octet-stream");
  Params connect = decoded(request_params(session, AppEvent::connect, false, 0));
  EXPECT_EQ(connect["EVENT"], "1");
  EXPECT_EQ(connect["HOLDFAST_EVENT"], "connect");
  Params close = decoded(request_params(session, AppEvent::close, false, 0));
  EXPECT_EQ(close["EVENT"], "2");
  EXPECT_EQ(close["HOLDFAST_EVENT"], "close");
  EXPECT_EQ(close["HOLDFAST_REASON"], "kicked");
  EXPECT_EQ(close["HOLDFAST_CODE"], "4001");
  for (const Params& p : {connect, close}) EXPECT_FALSE(p.contains("HOLDFAST_OPCODE"));
}

TEST(RequestParams, SessionDataIsAQueryStringThatParsesBack) {
  Session session;
  session.user = "ann";
  session.data = std::make_unique<SessionData>(
      SessionData{{"a b", "1&2=3"}, {"c", "ü%+"}, {"plain-._~", "x"}});
  Params p = decoded(request_params(session, AppEvent::message, false, 0));
  EXPECT_EQ(p["HOLDFAST_USER"], "ann");
  EXPECT_EQ(p["HOLDFAST_DATA"], "a%20b=1%262%3D3&c=%C3%BC%25%2B&plain-._~=x");
  for (const auto& [key, value] : *session.data)
    EXPECT_EQ(http::query_values(p["HOLDFAST_DATA"], key), std::vector{value});
}

}  // namespace
}  // namespace holdfast
