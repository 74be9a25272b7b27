// What a right configuration becomes: defaults, all at once, files it names.
#include "conf/load.h"

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <bit>
#include <cstdlib>

#include "base/cgroup.h"
#include "tests/harness/openssl_client.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/conf/wrong.h"

namespace holdfast::conf {
namespace {

const std::string kMinimal = "[[listen]]\naddress = '127.0.0.1:8080'\nbackend = 'echo'\n";
const std::string kToken = "0123456789abcdef";

Config must_load(const std::string& toml, const std::string& path = "/etc/holdfast/h.toml") {
  Loaded loaded = load_text(toml, path);
  EXPECT_TRUE(loaded) << all_of(loaded);
  return std::move(loaded.config);
}

// Sets a variable of the environment (or unsets it) for the length of a test.
class ScopedEnv {
 public:
  ScopedEnv(const char* name, const char* value) : name_(name) {
    const char* old = std::getenv(name);
    if (old != nullptr) old_ = old;
    value == nullptr ? unsetenv(name) : setenv(name, value, 1);
  }
  ScopedEnv(const ScopedEnv&) = delete;
  ScopedEnv& operator=(const ScopedEnv&) = delete;
  ~ScopedEnv() { old_ ? setenv(name_, old_->c_str(), 1) : unsetenv(name_); }

 private:
  const char* name_;
  std::optional<std::string> old_;
};

TEST(Defaults, StandWhereNothingIsSaid) {
  Config config = must_load(kMinimal);
  EXPECT_EQ(config.file, "/etc/holdfast/h.toml");
  Server server;
  server.workers = config.server.workers;
  server.runtime_dir = config.server.runtime_dir;
  EXPECT_EQ(config.server, server);
  Limits limits;
  limits.mailbox_size = config.limits.mailbox_size;
  EXPECT_EQ(config.limits, limits);
  EXPECT_EQ(config.log.level, LogLevel::info);
  EXPECT_EQ(config.log.target, "stderr");
  EXPECT_FALSE(config.log.json);
  ASSERT_EQ(config.listens.size(), 1u);
  Listen listen;
  listen.address = *parse_address("127.0.0.1:8080");
  listen.backend = "echo";
  EXPECT_EQ(config.listens[0], listen);
  EXPECT_TRUE(config.backends.empty());
  EXPECT_TRUE(config.apis.empty());
}

TEST(Defaults, AutoWorkersAreTheOnlineCoresButAtMostHalfOfTheSlots) {
  unsigned cores = usable_cpus();
  EXPECT_EQ(must_load(kMinimal).server.workers, std::min(cores, 32u));
  EXPECT_EQ(must_load("server = { workers = 'auto', max_workers = 3 }\n" + kMinimal).server.workers,
            1u);
  EXPECT_EQ(must_load("server.workers = 32\n" + kMinimal).server.workers, 32u);
}

TEST(Defaults, MailboxSizeFollowsTheLargestMessage) {
  auto mailbox = [](const std::string& limits) {
    return must_load("[limits]\n" + limits + "\n" + kMinimal).limits.mailbox_size;
  };
  EXPECT_EQ(mailbox(""), size_t(512) << 10);
  EXPECT_EQ(mailbox("mailbox_size = 0"), size_t(512) << 10);
  EXPECT_EQ(mailbox("max_message_size = 1024"), size_t(256) << 10);
  EXPECT_EQ(mailbox("max_message_size = '32 KiB'"), size_t(256) << 10);
  EXPECT_EQ(mailbox("max_message_size = '1 MiB'"), size_t(8) << 20);
  EXPECT_EQ(mailbox("mailbox_size = '256 KiB'"), size_t(256) << 10);
}

TEST(Defaults, RuntimeDirFollowsInstanceAndUser) {
  std::string toml = "server.instance = 'shop-1'\n" + kMinimal;
  ScopedEnv xdg("XDG_RUNTIME_DIR", "/run/user/7");
  bool root = geteuid() == 0;
  EXPECT_EQ(must_load(toml).server.runtime_dir, root ? "/run/shop-1" : "/run/user/7/shop-1");
  ScopedEnv none("XDG_RUNTIME_DIR", nullptr);
  EXPECT_EQ(must_load(toml).server.runtime_dir,
            root ? "/run/shop-1" : "/tmp/shop-1-" + std::to_string(geteuid()));
  EXPECT_EQ(must_load("server.runtime_dir = '/a/b/'\n" + kMinimal).server.runtime_dir, "/a/b");
}

TEST(Defaults, TcpListenerHasFramingAndNoPings) {
  Config config = must_load(
      "[[listen]]\naddress = 'unix:/a'\nprotocol = 'tcp'\nbackend = 'echo'\n"
      "framing = { kind = 'length' }\n"
      "[[listen]]\naddress = 'unix:/b'\nprotocol = 'tcp'\nbackend = 'echo'\n"
      "framing = { kind = 'length', offset = 4, order = 'little', includes_header = true }\n");
  EXPECT_EQ(config.listens[0].framing, Framing());
  EXPECT_EQ(config.listens[0].ping_interval_ms, 0u);
  Framing late;
  late.offset = 4;
  late.big_endian = false;
  late.includes_header = true;
  late.strip = false;  // the bytes before the field are the application's
  EXPECT_EQ(config.listens[1].framing, late);
}

TEST(Defaults, DocumentRootIsTheScriptsFolder) {
  Config config = must_load(
      "[backend.app]\nservers = [{ address = 'unix:/a' }]\nscript_filename = '/x/y.php'\n" +
      kMinimal);
  const Backend& backend = config.backends.at("app");
  EXPECT_EQ(backend.name, "app");
  EXPECT_EQ(backend.document_root, "/x");
  EXPECT_TRUE(backend.event_connect && backend.event_close);
}

TEST(Load, TakesNamesOfServersAndLooksNoneUp) {
  Config config = must_load(
      "[backend.app]\nservers = [{ address = 'php:9000' }, { address = 'no.such.invalid:1' }]\n"
      "script_filename = '/x/y.php'\nresolve_every = '1s'\n" +
      kMinimal);
  const Backend& backend = config.backends.at("app");
  EXPECT_EQ(backend.servers[0].address.text, "php:9000");
  EXPECT_EQ(backend.servers[0].address.raw_bytes, 0u);
  EXPECT_EQ(backend.servers.size(), 2u);
  EXPECT_EQ(backend.resolve_every_ms, 1000u);
}

TEST(Load, TakesPowersOffWhereTheyAreMeantToBe) {
  Config config = must_load(
      "[backend.app]\nservers = [{ address = 'unix:/a' }]\nscript_filename = '/x/y.php'\n"
      "events = ['close']\nqueue = 0\nclose_retry = '0s'\n"
      "[[listen]]\naddress = 'unix:/l'\nbackend = 'app'\nping_interval = '0s'\n"
      "[[listen]]\naddress = 'unix:/m'\nbackend = 'app'\nidle_timeout = '0s'\n"
      "ping_interval = '1h'\n");
  EXPECT_FALSE(config.backends.at("app").event_connect);
  EXPECT_TRUE(config.backends.at("app").event_close);
  EXPECT_EQ(config.listens[0].ping_interval_ms, 0u);
  EXPECT_EQ(config.listens[1].idle_timeout_ms, 0u);
}

TEST(Load, TwoListenersMayHavePortZeroAndAWildcardBesideItsPort) {
  Config config = must_load(
      "[[listen]]\naddress = '127.0.0.1:0'\nbackend = 'echo'\n"
      "[[listen]]\naddress = '127.0.0.1:0'\nbackend = 'echo'\n"
      "[[listen]]\naddress = '0.0.0.0:80'\nbackend = 'echo'\n"
      "[[api]]\naddress = '127.0.0.1:80'\n");
  EXPECT_EQ(config.listens.size(), 3u);
}

TEST(Load, TellsAllProblemsAtOnceInFileOrder) {
  Loaded loaded = load_text(
      "[[api]]\n"
      "address = '0.0.0.0:1'\n"
      "[[listen]]\n"
      "address = 'nowhere'\n"
      "backend = 'ap'\n"
      "bakend = 'app'\n"
      "[limits]\n"
      "max_headers = 0\n"
      "[backend.app]\n"
      "order = 1\n"
      "[server]\n"
      "node_id = 0\n"
      "[sever]\n",
      "h.toml");
  std::vector<std::string> got;
  for (const Problem& problem : loaded.problems) {
    got.push_back(std::to_string(problem.line) + " " + problem.key);
  }
  std::vector<std::string> wanted{"2 api[0].address",
                                  "4 listen[0].address",
                                  "5 listen[0].backend",
                                  "6 listen[0].bakend",
                                  "8 limits.max_headers",
                                  "9 backend.app.servers",
                                  "9 backend.app.script_filename",
                                  "10 backend.app.order",
                                  "12 server.node_id",
                                  "13 sever"};
  EXPECT_EQ(got, wanted) << all_of(loaded);
}

TEST(Load, NamesAMissingFileWithoutALine) {
  TempDir dir;
  Loaded loaded = load_file(dir / "none.toml");
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].line, 0u);
  EXPECT_TRUE(loaded.problems[0].text().starts_with(dir / "none.toml: cannot open it: No such"))
      << loaded.problems[0].text();
  loaded = load_file(dir.path());
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].what, "not a regular file");
}

TEST(Load, DoesNotWaitForAFifo) {
  TempDir dir;
  ASSERT_EQ(mkfifo((dir / "h.toml").c_str(), 0600), 0);
  Loaded loaded = load_file(dir / "h.toml");
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].what, "not a regular file");
}

TEST(Load, TakesAnEmptyFileAsOneThatListensNowhere) {
  for (const char* toml : {"", "\n", "# nothing\n", "\xEF\xBB\xBF"}) {
    Loaded loaded = load_text(toml, "h.toml");
    ASSERT_EQ(loaded.problems.size(), 1u) << all_of(loaded);
    EXPECT_EQ(loaded.problems[0].key, "listen");
  }
}

TEST(Load, CountsColumnsBehindAByteOrderMark) {
  Loaded loaded = load_text("\xEF\xBB\xBFlisten = 5", "h.toml");
  ASSERT_EQ(loaded.problems.size(), 1u);
  EXPECT_EQ(loaded.problems[0].column, 10u);
}

TEST(Load, TakesEachProtocolOfTheApiWithItsKeys) {
  TempDir dir;
  dir.write("token", kToken);
  Config config = must_load(kMinimal +
                                "[[api]]\naddress = 'unix:/h'\nprotocol = 'http'\n"
                                "[[api]]\naddress = '10.0.0.1:6379'\nprotocol = 'resp'\n"
                                "token_file = 'token'\nsend_queue = '64 KiB'\n"
                                "[[api]]\naddress = '[::1]:9010'\nprotocol = 'router'\n"
                                "max_body = '1 KiB'\n"
                                "[[api]]\naddress = 'unix:/r'\nprotocol = 'router'\n",
                            dir / "h.toml");
  ASSERT_EQ(config.apis.size(), 4u);
  EXPECT_EQ(config.apis[0].protocol, ApiProtocol::http);
  EXPECT_EQ(config.apis[1].protocol, ApiProtocol::resp);
  EXPECT_EQ(config.apis[1].send_queue, size_t(64) << 10);
  EXPECT_EQ(config.apis[1].tokens.size(), 1u);
  EXPECT_EQ(config.apis[2].protocol, ApiProtocol::router);
  EXPECT_EQ(config.apis[2].max_body, size_t(1) << 10);
  EXPECT_EQ(config.apis[3].protocol, ApiProtocol::router);
}

TEST(Load, TakesIdempotencyKeysFromNoneToSixteenMillion) {
  for (unsigned keys : {0u, 64u, 65'536u, 16'777'216u}) {
    Config config =
        must_load("limits.idempotency_keys = " + std::to_string(keys) + "\n" + kMinimal);
    EXPECT_EQ(config.limits.idempotency_keys, keys);
  }
}

TEST(Page, IsReadFromTheConfigurationsFolder) {
  TempDir dir;
  dir.write("page.html", "<p>\xc3\xa4");
  std::string path = dir.write("h.toml", kMinimal + "path = '/ws'\npage = './page.html'\n");
  Loaded loaded = load_file(path);
  ASSERT_TRUE(loaded) << all_of(loaded);
  EXPECT_EQ(loaded.config.listens[0].page, dir / "page.html");
  EXPECT_EQ(loaded.config.listens[0].page_html, "<p>\xc3\xa4");
}

TEST(Page, MustNotStandAtThePathOfHandShakes) {
  TempDir dir;
  dir.write("page.html", "hello");
  expect_exactly_this({"", kMinimal + "page = 'page.html'\n", 4, 8, "listen[0].page",
                       "answered at /, where this listener takes hand-shakes", "path = \"/ws\""},
                      dir / "h.toml");
}

TEST(Page, IsAtMostOneMebibyte) {
  TempDir dir;
  std::string toml = kMinimal + "path = '/ws'\npage = 'page.html'\n";
  dir.write("page.html", std::string(1 << 20, 'x'));
  EXPECT_EQ(must_load(toml, dir / "h.toml").listens[0].page_html.size(), size_t(1) << 20);
  dir.write("page.html", std::string((1 << 20) + 1, 'x'));
  expect_exactly_this({"", toml, 5, 8, "listen[0].page", "larger than 1 MiB", "at most 1 MiB"},
                      dir / "h.toml");
}

const std::string kTokenApi = kMinimal + "[[api]]\naddress = '0.0.0.0:1'\ntoken_file = 'token'\n";

TEST(TokenFile, GivesItsLinesWithoutCommentsAndBlanks) {
  TempDir dir;
  dir.write("token", "# first\n\n  " + kToken + "1 \r\n\t\n#x\n" + kToken + "2", 0640);
  Config config = must_load(kTokenApi, dir / "h.toml");
  EXPECT_EQ(config.apis[0].tokens,
            (std::vector<Token>{{kToken + "1", kAllScopes}, {kToken + "2", kAllScopes}}));
  EXPECT_EQ(config.apis[0].token_file, dir / "token");
}

TEST(TokenFile, MustNotBeOpenToOthers) {
  TempDir dir;
  for (mode_t mode : {0644, 0602, 0601}) {
    dir.write("token", kToken, mode);
    expect_exactly_this(
        {"", kTokenApi, 6, 14, "api[0].token_file", "everybody on this machine", "chmod o= "},
        dir / "h.toml");
  }
}

TEST(TokenFile, MustHaveATokenAndNoShortOne) {
  TempDir dir;
  dir.write("token", "# none yet\n");
  expect_exactly_this({"", kTokenApi, 6, 14, "api[0].token_file", "no token in it", "16 or more"},
                      dir / "h.toml");
  dir.write("token", kToken + "\n" + kToken.substr(1) + "\n");
  expect_exactly_this(
      {"", kTokenApi, 6, 14, "api[0].token_file", "token in line 2: shorter than 16", "16 or more"},
      dir / "h.toml");
  dir.write("token", kToken + "\xe4\n");
  expect_exactly_this(
      {"", kTokenApi, 6, 14, "api[0].token_file", "line 1: not visible ASCII", "16 or more"},
      dir / "h.toml");
}

TEST(TokenFile, GivesScopesBehindATokenAndAdminIsAll) {
  struct Row {
    const char* words;
    unsigned scopes;
  };
  for (const Row& row : std::vector<Row>{{"", kAllScopes},
                                         {" push", kScopePush},
                                         {"\tquery", kScopeQuery},
                                         {" push,query", kScopePush | kScopeQuery},
                                         {"  query , push \r", kScopePush | kScopeQuery},
                                         {" query,query", kScopeQuery},
                                         {" admin", kAllScopes},
                                         {" push,admin", kAllScopes}}) {
    TempDir dir;
    dir.write("token", kToken + row.words + "\n");
    Config config = must_load(kTokenApi, dir / "h.toml");
    EXPECT_EQ(config.apis[0].tokens, (std::vector<Token>{{kToken, row.scopes}})) << row.words;
  }
}

TEST(TokenFile, RefusesWhatIsNoListOfScopes) {
  for (const char* words :
       {"pusch", "push,", ",push", "push,,query", "push query", "PUSH", "all", "# comment", ","}) {
    TempDir dir;
    dir.write("token", "# one\n" + kToken + " " + words);
    expect_exactly_this(
        {"", kTokenApi, 6, 14, "api[0].token_file",
         "token in line 2: what follows it is not a list of scopes", "push,query,admin"},
        dir / "h.toml");
  }
}

// Which scopes would it have?
TEST(TokenFile, RefusesATokenThatComesTwice) {
  TempDir dir;
  dir.write("token", kToken + "\n\n" + kToken + "2\n" + kToken + " query\n");
  expect_exactly_this({"", kTokenApi, 6, 14, "api[0].token_file",
                       "token in line 4: the same as in line 1", "every token once"},
                      dir / "h.toml");
}

TEST(TokenFile, NeverLeaksATokenIntoAMessage) {
  TempDir dir;
  dir.write("token",
            "secret-but-short\xff\nsecret\nsecret-but-good-1 secret\nsecret-but-good-2\n"
            "secret-but-good-2\n");
  Loaded loaded = load_text(kTokenApi, dir / "h.toml");
  EXPECT_EQ(loaded.problems.size(), 4u);
  EXPECT_EQ(all_of(loaded).find("secret"), std::string::npos) << all_of(loaded);
}

TEST(Load, PermessageDeflateIsOffUnlessItIsThere) {
  auto with = [](const std::string& line) {
    Loaded loaded =
        load_text("[[listen]]\naddress = '127.0.0.1:8080'\nbackend = 'echo'\n" + line, "/h.toml");
    EXPECT_TRUE(loaded) << all_of(loaded);
    return loaded.config.listens.at(0).permessage_deflate;
  };
  EXPECT_FALSE(with(""));
  EXPECT_EQ(with("permessage_deflate = {}"), PermessageDeflate());
  EXPECT_EQ(with("permessage_deflate = { level = 9, min_size = '1 KiB', "
                 "client_no_context_takeover = false, client_max_window_bits = 10 }"),
            (PermessageDeflate{9, 1024, false, 10}));
}

TEST(Load, CertificatesAreReadAndJudged) {
  TempDir dir;
  Certificate good = test::make_certificate({"one.example"}),
              other = test::make_certificate({"two.example"});
  dir.write("chain.pem", good.chain);
  dir.write("key.pem", good.key);
  dir.write("other.pem", other.key);
  std::string listen = "[[listen]]\naddress = '127.0.0.1:8080'\nbackend = 'echo'\n";
  auto with = [&](const std::string& tls) {
    return load_text(listen + "tls = [" + tls + "]\n", dir.path() + "/h.toml");
  };
  Loaded loaded = with("{ certificate = 'chain.pem', key = 'key.pem' }");
  ASSERT_TRUE(loaded) << all_of(loaded);
  ASSERT_EQ(loaded.config.listens[0].tls.size(), 1u);
  EXPECT_EQ(loaded.config.listens[0].tls[0].chain, good.chain);
  EXPECT_EQ(loaded.config.listens[0].tls[0].key, good.key);
  EXPECT_NE(print_config(loaded.config)
                .find("{ certificate = \"" + dir.path() + "/chain.pem\", key = \""),
            std::string::npos);
  const std::pair<std::string, std::string> wrong[] = {
      {"{ certificate = 'chain.pem', key = 'other.pem' }", "listen[0].tls[0].certificate"},
      {"{ certificate = 'key.pem', key = 'key.pem' }", "no PEM chain"},
      {"{ certificate = 'chain.pem', key = 'gone.pem' }", "listen[0].tls[0].key"},
      {"{ certificate = 'chain.pem' }", "listen[0].tls[0].key: required, but missing"},
      {"{ certificate = 'chain.pem', key = 'key.pem', password = 'x' }", "unknown key"}};
  for (const auto& [tls, words] : wrong) {
    Loaded refused = with(tls);
    EXPECT_FALSE(refused) << tls;
    EXPECT_NE(all_of(refused).find(words), std::string::npos) << all_of(refused);
    EXPECT_EQ(all_of(refused).find("PRIVATE"), std::string::npos);
  }
}

TEST(LoadConfig, HostsOfAnApiListenerAreNames) {
  auto with = [](const std::string& lines) {
    return load_text(
        "[[listen]]\naddress = '127.0.0.1:8080'\nbackend = 'echo'\n[[api]]\naddress = "
        "'127.0.0.1:8081'\n" +
            lines,
        "/h.toml");
  };
  Loaded loaded = with("hosts = ['push.internal', 'gateway']\n");
  ASSERT_TRUE(loaded) << all_of(loaded);
  EXPECT_EQ(loaded.config.apis[0].hosts, (std::vector<std::string>{"push.internal", "gateway"}));
  EXPECT_NE(print_config(loaded.config).find("hosts = [\"push.internal\", \"gateway\"]\n"),
            std::string::npos);
  for (const char* lines :
       {"hosts = ['push.internal:80']\n", "hosts = ['']\n", "hosts = ['http://push.internal']\n",
        "hosts = ['10.0.0.1']\n", "hosts = ['*']\n", "hosts = 'push.internal'\n",
        "protocol = 'resp'\nhosts = ['push.internal']\n"}) {
    Loaded refused = with(lines);
    EXPECT_FALSE(refused) << lines;
    EXPECT_NE(all_of(refused).find("api[0].hosts"), std::string::npos) << all_of(refused);
  }
}

TEST(Load, ClientCertificatesTakeThePlaceOfTokens) {
  TempDir dir;
  Certificate own = test::make_certificate({"one.example"}),
              authority = test::make_certificate({"our own authority"});
  dir.write("chain.pem", own.chain);
  dir.write("key.pem", own.key);
  dir.write("ca.pem", authority.chain + own.chain);
  auto with = [&](const std::string& lines) {
    return load_text(
        "[[listen]]\naddress = '127.0.0.1:8080'\nbackend = 'echo'\n[[api]]\naddress = "
        "'0.0.0.0:8081'\n" +
            lines,
        dir.path() + "/h.toml");
  };
  const std::string tls = "tls = [{ certificate = 'chain.pem', key = 'key.pem' }]\n";
  for (const char* protocol : {"http", "resp", "router"}) {
    Loaded loaded = with(fmt::format("protocol = '{}'\n{}client_ca = 'ca.pem'\n", protocol, tls));
    ASSERT_TRUE(loaded) << all_of(loaded);
    EXPECT_EQ(loaded.config.apis[0].client_ca, authority.chain + own.chain);
    EXPECT_EQ(loaded.config.apis[0].tls[0].chain, own.chain);
    EXPECT_NE(print_config(loaded.config).find("client_ca = \"" + dir.path() + "/ca.pem\"\n"),
              std::string::npos);
  }
  const std::pair<std::string, std::string> wrong[] = {
      {tls, "api[0].address = '0.0.0.0:8081': anybody who reaches it"},
      {"protocol = 'router'\n" + tls, "\"router\" has no authentication"},
      {"client_ca = 'ca.pem'\n", "certificates are shown in TLS only"},
      {tls + "client_ca = 'gone.pem'\n", "api[0].client_ca"},
      {tls + "client_ca = 'key.pem'\n", "no PEM certificates"},
      {tls + "client_ca = 5\n", "an integer, not a string"}};
  for (const auto& [lines, words] : wrong) {
    Loaded refused = with(lines);
    EXPECT_FALSE(refused) << lines;
    EXPECT_NE(all_of(refused).find(words), std::string::npos) << all_of(refused);
  }
}

}  // namespace
}  // namespace holdfast::conf
