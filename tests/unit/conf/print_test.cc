// Printing is the inverse of loading; and what a reload may change.
#include <gtest/gtest.h>

#include "conf/load.h"
#include "tests/unit/conf/temp_dir.h"
#include "tests/unit/conf/wrong.h"

namespace holdfast::conf {
namespace {

// Every key with a value that is not its default (where there is another in this version).
constexpr const char* kEverything = R"toml(
[server]
instance = "shop_1"
workers = 3
max_workers = 16
runtime_dir = "/run/shop"
user = "www-data"
node_id = 65535
drain_timeout = "1500ms"
stop_timeout = "0s"
hang_timeout = "1m"
tls_ticket_lifetime = "90s"
tls_groups = ["P-384", "P-521"]
seccomp = "log"
core_dumps = true
[log]
level = "trace"
target = "logs/holdfast.log"
format = "json"
[limits]
max_sessions = 1234
max_message_size = 70000
max_header_size = "8 KiB"
max_headers = 50
handshake_timeout = "3s"
max_channels_per_session = 7
mailbox_size = "4 MiB"
mailbox_overflow = 0
filter_buckets = 1024
idempotency_keys = 256
max_connections_per_ip = 11
connect_rate_per_ip = 12
message_rate = 13
byte_rate = "1 MiB"
max_tls_handshakes = 15
max_tls_handshakes_per_ip = 16
max_pending_bytes = "15 MiB"
max_pending_bytes_per_worker = "16 MiB"
max_unsent_per_worker = "14 MiB"
[[listen]]
address = "[::1]:8080"
path = "/a/b"
page = "page.html"
backend = "app"
origins = ["https://example.com", "http://[::1]:3000", "null"]
subprotocols = ["graphql-transport-ws", "mqtt"]
streams = ["sse"]
channels = ["q\"uote", "back\\slash", "tab\\t", "umlaut ä"]
ping_interval = "1s"
idle_timeout = "2s"
close_timeout = "1ms"
send_queue = "3 MiB"
backlog = 5
max_pending = 1
proxies = ["10.0.0.0/8", "2001:db8::/32", "192.0.2.1", "unix"]
proxy_protocol = true
forwarded = "Forwarded"
permessage_deflate = { level = 1, min_size = 0, client_no_context_takeover = false, client_max_window_bits = 8 }
[[listen]]
address = "unix:/run/shop/tcp.sock"
protocol = "tcp"
backend = "relay"
channels = ["all"]
framing = { kind = "length", offset = 2, size = 8, order = "little", includes_header = true }
idle_timeout = "0s"
[[listen]]
address = "127.0.0.1:9005"
protocol = "tcp"
backend = "second-app"
framing = { kind = "delimiter", bytes = "\r\n\t\u0000\u007f\"\\" }
[backend.app]
servers = [{ address = "127.0.0.1:9000", weight = 5 }, { address = "unix:/run/php.sock" }, { address = "php-8.fpm_1:9000" }]
script_filename = "/srv/a.php"
document_root = "/srv/www"
params = { SERVER_NAME = "www.example.com", EMPTY = "", QUOTED = "a \"b\"\n" }
events = ["close"]
max_connections = 3
resolve_every = "7s"
connect_timeout = "20ms"
read_timeout = "61s"
queue = 0
max_response = "1 KiB"
order = "none"
keep_alive = false
keep_alive_patience = "1500ms"
close_retry = "2h"
[backend.second-app]
servers = [{ address = "[::1]:9000" }]
script_filename = "/b.php"
events = []
[[api]]
address = "0.0.0.0:8081"
token_file = "token"
max_body = "5 MiB"
[[api]]
address = "unix:/run/shop/push.sock"
[[api]]
address = "[::1]:6379"
protocol = "resp"
token_file = "scoped"
send_queue = "64 KiB"
[[api]]
address = "127.0.0.1:9010"
protocol = "router"
max_body = "64 KiB"
[[channel]]
pattern = "ticker.*"
slow_consumer = "keep-latest"
[[channel]]
pattern = "[a-z]\\*"
slow_consumer = "drop-oldest"
[[channel]]
pattern = "ask.*"
subscribe = "token"
publish = "nobody"
)toml";

// LogSettings belongs to base/ and has no ==.
void expect_equal(const Config& a, const Config& b) {
  EXPECT_EQ(a.file, b.file);
  EXPECT_EQ(a.server, b.server);
  EXPECT_EQ(a.log.level, b.log.level);
  EXPECT_EQ(a.log.target, b.log.target);
  EXPECT_EQ(a.log.json, b.log.json);
  EXPECT_EQ(a.limits, b.limits);
  EXPECT_EQ(a.listens, b.listens);
  EXPECT_EQ(a.backends, b.backends);
  EXPECT_EQ(a.apis, b.apis);
  EXPECT_EQ(a.channels, b.channels);
}

void expect_round_trip(const Loaded& first) {
  ASSERT_TRUE(first) << all_of(first);
  std::string printed = print_config(first.config);
  Loaded second = load_text(printed, first.config.file);
  ASSERT_TRUE(second) << all_of(second) << printed;
  expect_equal(first.config, second.config);
  EXPECT_EQ(print_config(second.config), printed);
}

TEST(PrintConfig, IsReadBackEqualWithEveryKeySet) {
  TempDir dir;
  dir.write("page.html", "<p>");
  dir.write("token", "0123456789abcdef");
  dir.write("scoped", "0123456789abcdef push,query\nfedcba9876543210 query\n");
  Loaded loaded = load_text(kEverything, dir / "h.toml");
  expect_round_trip(loaded);
  EXPECT_EQ(loaded.config.limits.mailbox_overflow, 0u);
  EXPECT_EQ(loaded.config.listens[2].framing->delimiter, std::string("\r\n\t\0\x7f\"\\", 7));
  EXPECT_EQ(loaded.config.log.target, dir / "logs/holdfast.log");
}

TEST(PrintConfig, IsReadBackEqualWithDefaultsOnly) {
  expect_round_trip(load_text("[[listen]]\naddress='127.0.0.1:0'\nbackend='echo'\n", "/h.toml"));
}

TEST(PrintConfig, ShowsDefaultsAndHidesTokens) {
  TempDir dir;
  dir.write("token", "0123456789abcdef");
  Loaded loaded = load_text(
      "[[listen]]\naddress='127.0.0.1:0'\nbackend='echo'\n"
      "[[api]]\naddress='unix:/a'\ntoken_file='token'\n",
      dir / "h.toml");
  ASSERT_TRUE(loaded) << all_of(loaded);
  std::string printed = print_config(loaded.config);
  for (const char* line : {"max_message_size = \"64 KiB\"\n", "ping_interval = \"25s\"\n",
                           "max_sessions = 1000000\n", "origins = []\n", "protocol = \"http\"\n"}) {
    EXPECT_NE(printed.find(line), std::string::npos) << line << printed;
  }
  EXPECT_EQ(printed.find("0123456789abcdef"), std::string::npos);
}

// The samples are documentation that must stay true.
const std::string kSamples = HOLDFAST_SOURCE_ROOT "/conf/";

TEST(Samples, HoldfastTomlIsValidAsItStands) {
  expect_round_trip(load_file(kSamples + "holdfast.toml"));
}

TEST(Samples, QuickstartTomlIsValidAsItStands) {
  Loaded loaded = load_file(kSamples + "quickstart.toml");
  expect_round_trip(loaded);
  EXPECT_EQ(loaded.config.server.instance, "quickstart");
  EXPECT_EQ(loaded.config.listens[0].address.text, "127.0.0.1:8080");
  EXPECT_EQ(loaded.config.listens[0].backend, "relay");
  EXPECT_EQ(loaded.config.apis[0].address.text, "127.0.0.1:8081");
}

// Every key the loader knows of a table is listed by its "unknown key" message.
std::vector<std::string> known_keys(const std::string& toml, const std::string& key) {
  for (const Problem& problem : load_text(toml, "/h.toml").problems) {
    if (problem.key != key) continue;
    std::vector<std::string> keys;
    std::stringstream in(problem.allowed);
    for (std::string word; std::getline(in >> std::ws, word, ',');) keys.push_back(word);
    return keys;
  }
  return {};
}

TEST(Samples, HoldfastTomlShowsEveryKeyWithItsDefault) {
  std::ifstream file(kSamples + "holdfast.toml");
  std::string text((std::istreambuf_iterator<char>(file)), {});
  const std::vector<std::pair<std::string, std::string>> tables{
      {"server.zzz = 1", "server.zzz"},
      {"log.zzz = 1", "log.zzz"},
      {"limits.zzz = 1", "limits.zzz"},
      {"listen = [{ zzz = 1 }]", "listen[0].zzz"},
      {"backend.a.zzz = 1", "backend.a.zzz"},
      {"api = [{ zzz = 1 }]", "api[0].zzz"},
      {"channel = [{ zzz = 1 }]", "channel[0].zzz"}};
  for (const auto& [toml, unknown] : tables) {
    std::vector<std::string> keys = known_keys(toml, unknown);
    EXPECT_GE(keys.size(), 2u) << unknown;
    for (const std::string& key : keys) {
      bool shown =
          text.find("\n" + key + " = ") != text.npos || text.find("\n#" + key + " = ") != text.npos;
      EXPECT_TRUE(shown) << key;
    }
  }
  Loaded sample = load_file(kSamples + "holdfast.toml");
  ASSERT_TRUE(sample) << all_of(sample);
  Loaded least = load_text(
      "[[listen]]\naddress = '127.0.0.1:8080'\npath = '/ws'\nbackend = 'app'\n"
      "[[listen]]\naddress = '127.0.0.1:9005'\nprotocol = 'tcp'\nbackend = 'app'\n"
      "framing = { kind = 'length' }\n"
      "[backend.app]\nservers = [{ address = '127.0.0.1:9000' }]\n"
      "script_filename = '/srv/app/gateway.php'\n"
      "[[api]]\naddress = '127.0.0.1:8081'\n"
      "[[api]]\naddress = '127.0.0.1:6380'\nprotocol = 'resp'\n"
      "[[api]]\naddress = '127.0.0.1:9010'\nprotocol = 'router'\n",
      kSamples + "holdfast.toml");
  ASSERT_TRUE(least) << all_of(least);
  expect_equal(sample.config, least.config);
}

Config loaded_with(const std::string& more) {
  Loaded loaded =
      load_text(more + "\n[[listen]]\naddress='127.0.0.1:0'\nbackend='echo'\n", "/h.toml");
  EXPECT_TRUE(loaded) << all_of(loaded);
  return loaded.config;
}

TEST(NeedsRestart, NamesEachKeyThatAReloadCannotChange) {
  const Config running = loaded_with("server.runtime_dir = '/run/a'");
  struct Row {
    const char* toml;
    const char* difference;
  };
  for (const Row& row : std::vector<Row>{
           {"server.instance = 'b'", "server.instance: \"holdfast\" -> \"b\""},
           {"server.max_workers = 128", "server.max_workers: 64 -> 128"},
           {"server.user = 'www'", "server.user: \"\" -> \"www\""},
           {"server.node_id = 2", "server.node_id: 1 -> 2"},
           {"limits.max_sessions = 1000", "limits.max_sessions: 1000000 -> 1000"},
           {"limits.mailbox_size = '1 MiB'", "limits.mailbox_size: 512 KiB -> 1 MiB"},
           {"limits.max_message_size = '1 MiB'", "limits.mailbox_size: 512 KiB -> 8 MiB"},
           {"limits.filter_buckets = 128", "limits.filter_buckets: 65536 -> 128"},
           {"limits.idempotency_keys = 0", "limits.idempotency_keys: 65536 -> 0"}}) {
    Config wanted = loaded_with(std::string("server.runtime_dir = '/run/a'\n") + row.toml);
    EXPECT_EQ(needs_restart(running, wanted), std::vector<std::string>{row.difference});
  }
  EXPECT_EQ(needs_restart(running, loaded_with("server.runtime_dir = '/run/b'")),
            std::vector<std::string>{"server.runtime_dir: \"/run/a\" -> \"/run/b\""});
}

TEST(NeedsRestart, IsEmptyForWhatAReloadCanChange) {
  Config running = loaded_with("");
  Config wanted = loaded_with(
      "server.workers = 7\nserver.drain_timeout = '1s'\nlog.level = 'debug'\n"
      "limits.max_headers = 5\nlimits.mailbox_overflow = 5\nlimits.max_message_size = '60 KiB'\n"
      "[[api]]\naddress = 'unix:/a'\n[[listen]]\naddress = 'unix:/b'\nbackend = 'relay'\n");
  EXPECT_TRUE(needs_restart(running, wanted).empty());
  EXPECT_TRUE(needs_restart(running, running).empty());
}

}  // namespace
}  // namespace holdfast::conf
