// What is wrong in [[listen]], [backend.NAME] and [[api]]: each row has one problem, at one place.
#include "tests/unit/conf/wrong.h"

namespace holdfast::conf {
namespace {

class ListenError : public testing::TestWithParam<Wrong> {};

TEST_P(ListenError, IsNamedWithPlaceKeyAndWhatIsAllowed) {
  expect_exactly_this(GetParam(), "/etc/holdfast/holdfast.toml");
}

// Line 1 to 3 of a listener, to which a row adds lines.
std::string websocket(const std::string& more) {
  return "[[listen]]\naddress = '127.0.0.1:80'\nbackend = 'echo'\n" + more;
}
// Line 1 to 4.
std::string tcp(const std::string& more) {
  return "[[listen]]\naddress = '127.0.0.1:80'\nbackend = 'echo'\nprotocol = 'tcp'\n" + more;
}
// Line 1 to 3 of a backend.
std::string backend(const std::string& more) {
  return "[backend.app]\nservers = [{ address = '127.0.0.1:9000' }]\nscript_filename = "
         "'/a/b.php'\n" +
         more;
}
std::string servers(const std::string& value) {
  return "[backend.app]\nscript_filename = '/a/b.php'\nservers = " + value + "\n";
}

const std::string kFraming = "framing = { kind = 'length' }\n";

INSTANTIATE_TEST_SUITE_P(
    Listen, ListenError,
    testing::Values(
        Wrong{"InTheWrongTable",
              "[log]\nlisten = 1\n[[listen]]\naddress='unix:/a'\nbackend='echo'\n", 2, 1,
              "log.listen", "unknown key", "level"},
        Wrong{"EmptyList", "listen = []\n", 0, 0, "listen", "nothing to listen at", "[[listen]]"},
        Wrong{"OneBracket", "[listen]\naddress = '127.0.0.1:80'\n", 1, 1, "listen",
              "a table, not an array", "[[listen]]"},
        Wrong{"ListOfNumbers", "listen = [5]\n", 1, 11, "listen[0]", "= 5: an integer, not a table",
              "[[listen]]"},
        Wrong{"AddressMissing", "[[listen]]\nbackend = 'echo'\n", 1, 1, "listen[0].address",
              "required, but missing", "HOST:PORT"},
        Wrong{"AddressByName", "[[listen]]\naddress = 'localhost:80'\nbackend = 'echo'\n", 2, 11,
              "listen[0].address", "= 'localhost:80': not an address", "numeric host"},
        Wrong{"ServerOfNoName", servers("[{ address = '1.2.3:9000' }]"), 3, 24,
              "backend.app.servers[0].address", "not an address", "a name"},
        Wrong{"ServerOfNoPort", servers("[{ address = 'php' }]"), 3, 24,
              "backend.app.servers[0].address", "the port is missing", "a name"},
        Wrong{"AddressOfAPort", "[[listen]]\naddress = ':8080'\nbackend = 'echo'\n", 2, 11,
              "listen[0].address", "did you mean \"0.0.0.0:8080\"", "HOST:PORT"},
        Wrong{"AddressOfAName", "[[listen]]\naddress = 'localhost:8080'\nbackend = 'echo'\n", 2, 11,
              "listen[0].address", "did you mean \"127.0.0.1:8080\" or \"[::1]:8080\"?",
              "HOST:PORT"},
        Wrong{"AddressIsANumber", "[[listen]]\naddress = 8080\nbackend = 'echo'\n", 2, 11,
              "listen[0].address", "not a string, did you mean \"0.0.0.0:8080\"", "HOST:PORT"},
        Wrong{"ChannelWithC1",
              "[[listen]]\naddress='unix:/a'\nbackend='echo'\nchannels=['a\xc2\x85']\n", 4, 11,
              "listen[0].channels[0]", "not a channel's name", "without control characters"},
        Wrong{"AddressType", "[[listen]]\naddress = 80\nbackend = 'echo'\n", 2, 11,
              "listen[0].address", "= 80: an integer, not a string", "a string"},
        Wrong{"AddressTwice", websocket("[[listen]]\naddress = \"127.0.0.1:80\"\nbackend='echo'\n"),
              5, 11, "listen[1].address",
              "= \"127.0.0.1:80\": the same as listen[0].address in line 2", "once"},
        Wrong{"UnixTwice",
              "[[api]]\naddress='unix:/a'\n[[listen]]\naddress='unix:/a'\nbackend='echo'", 4, 9,
              "listen[0].address", "the same as api[0].address in line 2", "once"},
        Wrong{"V6TwiceInOtherWords",
              "[[listen]]\naddress='[::1]:80'\nbackend='echo'\n"
              "[[listen]]\naddress='[0:0::1]:80'\nbackend='echo'\n",
              5, 9, "listen[1].address", "the same as listen[0].address in line 2", "once"},
        Wrong{"OwnSocket",
              "[server]\nruntime_dir='/r/'\n[[listen]]\naddress='unix:/r/api.sock'\nbackend='echo'",
              4, 9, "listen[0].address", "holdfastctl's own socket", "once"},
        Wrong{"OwnControlSocket",
              "[server]\nruntime_dir='/r/'\n[[listen]]\naddress='unix:/r/"
              "control.sock'\nbackend='echo'",
              4, 9, "listen[0].address", "holdfastctl's own socket", "once"},
        Wrong{"BackendMissing", "[[listen]]\naddress = '127.0.0.1:80'\n", 1, 1, "listen[0].backend",
              "required, but missing", "\"relay\", \"echo\""},
        Wrong{"BackendUnknown", "[[listen]]\naddress='127.0.0.1:80'\nbackend = 'relai'\n", 3, 11,
              "listen[0].backend", "no such backend, did you mean \"relay\"?", "[backend.NAME]"},
        Wrong{"Protocol", websocket("protocol = 'udp'\n"), 4, 12, "listen[0].protocol",
              "unknown value", "\"websocket\", \"tcp\""},
        Wrong{"UnknownKey", websocket("origin = ['*']\n"), 4, 1, "listen[0].origin",
              "did you mean \"origins\"?", "address, protocol"},
        Wrong{"PathRelative", websocket("path = 'ws'\n"), 4, 8, "listen[0].path", "not a path",
              "starts with /"},
        Wrong{"PathQuery", websocket("path = '/ws?a=1'\n"), 4, 8, "listen[0].path", "not a path",
              "no space, ?"},
        Wrong{"PageMissing", websocket("path = '/ws'\npage = 'no/such.html'\n"), 5, 8,
              "listen[0].page", "No such file", "readable HTML file"},
        Wrong{"PageIsAFolder", websocket("path = '/ws'\npage = '/'\n"), 5, 8, "listen[0].page",
              "not a regular file", "readable HTML file"},
        Wrong{"ProxyNoNetwork", websocket("proxies = ['10.0.0.0/8', '10.0.0.1/8']\n"), 4, 26,
              "listen[0].proxies[1]", "= '10.0.0.1/8': not a network", "192.0.2.0/24"},
        Wrong{"ProxyProtocolOfNobody", websocket("proxy_protocol = true\n"), 4, 18,
              "listen[0].proxy_protocol", "nobody would be believed", "proxies"},
        Wrong{"ForwardedByNobody", websocket("forwarded = 'X-Forwarded-For'\n"), 4, 13,
              "listen[0].forwarded", "nobody would be believed", "proxies"},
        Wrong{"DeflateType", websocket("permessage_deflate = true\n"), 4, 22,
              "listen[0].permessage_deflate", "not a table", "permessage_deflate = {"},
        Wrong{"DeflateLevel", websocket("permessage_deflate = { level = 0 }\n"), 4, 32,
              "listen[0].permessage_deflate.level", "= 0", "1 to 9"},
        Wrong{"DeflateWindow", websocket("permessage_deflate = { client_max_window_bits = 16 }\n"),
              4, 49, "listen[0].permessage_deflate.client_max_window_bits", "= 16", "8 to 15"},
        Wrong{"DeflateUnknown",
              websocket("permessage_deflate = { server_no_context_takeover = true }\n"), 4, 24,
              "listen[0].permessage_deflate.server_no_context_takeover", "unknown key",
              "client_no_context_takeover"},
        Wrong{"DeflateOnTcp", tcp(kFraming + "permessage_deflate = {}\n"), 6, 1,
              "listen[0].permessage_deflate", "only for protocol = \"websocket\"",
              "not on a tcp listener"},
        Wrong{"ForwardedUnknown", websocket("forwarded = 'X-Real-IP'\nproxies = ['unix']\n"), 4, 13,
              "listen[0].forwarded", "X-Real-IP", "X-Forwarded-For"},
        Wrong{"OriginWithPath", websocket("origins = ['https://a', 'https://b/c']\n"), 4, 25,
              "listen[0].origins[1]", "= 'https://b/c': not an origin", "https://example.com"},
        Wrong{"OriginStarBesides", websocket("origins = ['*', 'https://a']\n"), 4, 12,
              "listen[0].origins[0]", "alone", "only \"*\""},
        Wrong{"OriginNoList", websocket("origins = '*'\n"), 4, 11, "listen[0].origins",
              "a string, not an array", "an array of strings"},
        Wrong{"ChannelType", websocket("channels = ['a', 5]\n"), 4, 18, "listen[0].channels[1]",
              "an integer, not a string", "a string"},
        Wrong{"ChannelEmpty", websocket("channels = ['']\n"), 4, 13, "listen[0].channels[0]",
              "not a channel's name", "1 to 255"},
        Wrong{"ChannelTwice", websocket("channels = ['a', 'b', 'a']\n"), 4, 23,
              "listen[0].channels[2]", "twice", "once"},
        Wrong{"ChannelsTooMany",
              websocket("channels = ['a', 'b']\n[limits]\nmax_channels_per_session = 1\n"), 4, 12,
              "listen[0].channels", "max_channels_per_session", "at most 1"},
        Wrong{"PingTooLate", websocket("ping_interval = '60s'\n"), 4, 17, "listen[0].ping_interval",
              "idle for 1m before its ping at 1m", "shorter"},
        Wrong{"IdleTooSoon", websocket("idle_timeout = '20s'\n"), 4, 16, "listen[0].idle_timeout",
              "idle for 20s before its ping at 25s", "\"0s\""},
        Wrong{"SendQueue", websocket("send_queue = '1 B'\n"), 4, 14, "listen[0].send_queue",
              "out of range", "from 1 KiB"},
        Wrong{"TokenOnTcp",
              tcp("token = { algorithm = 'HS256', key = '/etc/passwd' }\n" + kFraming), 5, 1,
              "listen[0].token", "only for protocol", "not on a tcp listener"},
        Wrong{"TokenWithoutAlgorithm", websocket("token = { key = '/etc/passwd' }\n"), 4, 9,
              "listen[0].token.algorithm", "", "HS256"},
        Wrong{"TokenAlgorithm", websocket("token = { algorithm = 'none', key = '/etc/passwd' }\n"),
              4, 23, "listen[0].token.algorithm", "unknown value", "\"RS256\""},
        Wrong{"TokenKeyShort", websocket("token = { algorithm = 'HS256', key = '/dev/null' }\n"), 4,
              38, "listen[0].token.key", "", ""},
        Wrong{"TokenKeyNotPem", websocket("token = { algorithm = 'RS256', key = '/etc/passwd' }\n"),
              4, 38, "listen[0].token.key", "not a public key for this algorithm", "RSA"},
        Wrong{"SlowConsumerUnknown", websocket("slow_consumer = 'cloze'\n"), 4, 17,
              "listen[0].slow_consumer", "unknown value, did you mean \"close\"?", "\"close\""},
        Wrong{"Backlog", websocket("backlog = 0\n"), 4, 11, "listen[0].backlog", "out of range",
              "1 to 65535"},
        Wrong{"MaxPending", websocket("max_pending = 0\n"), 4, 15, "listen[0].max_pending",
              "out of range", "1 to 100000"},
        Wrong{"FramingOnWebsocket", websocket(kFraming), 4, 1, "listen[0].framing",
              "only for protocol = \"tcp\"", "not on a websocket"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Tcp, ListenError,
    testing::Values(
        Wrong{"FramingMissing", tcp(""), 1, 1, "listen[0].framing", "required, but missing",
              "kind = \"length\""},
        Wrong{"FramingType", tcp("framing = 'length'\n"), 5, 11, "listen[0].framing",
              "a string, not a table", "{ kind = \"length\""},
        Wrong{"KindMissing", tcp("framing = { size = 4 }\n"), 5, 11, "listen[0].framing.kind",
              "required, but missing", "\"length\", \"delimiter\""},
        Wrong{"KindUnknown", tcp("framing = { kind = 'lines', size = 4 }\n"), 5, 20,
              "listen[0].framing.kind", "unknown value", "\"length\", \"delimiter\""},
        Wrong{"UnknownKey", tcp("framing = { kind = 'length', endian = 'big' }\n"), 5, 30,
              "listen[0].framing.endian", "unknown key", "kind, bytes, offset"},
        Wrong{"Offset", tcp("framing = { kind = 'length', offset = 65 }\n"), 5, 39,
              "listen[0].framing.offset", "out of range", "0 to 64"},
        Wrong{"FieldSize", tcp("framing = { kind = 'length', size = 3 }\n"), 5, 37,
              "listen[0].framing.size", "not a size of a length field", "1, 2, 4 or 8"},
        Wrong{"Order", tcp("framing = { kind = 'length', order = 'network' }\n"), 5, 38,
              "listen[0].framing.order", "unknown value", "\"big\", \"little\""},
        Wrong{"IncludesHeader", tcp("framing = { kind = 'length', includes_header = 1 }\n"), 5, 48,
              "listen[0].framing.includes_header", "an integer, not a boolean", "true, false"},
        Wrong{"StripWithOffset", tcp("framing = { kind = 'length', offset = 4, strip = true }\n"),
              5, 50, "listen[0].framing.strip", "cannot be invented", "offset = 0"},
        Wrong{"BytesForLength", tcp("framing = { kind = 'length', bytes = 'x' }\n"), 5, 30,
              "listen[0].framing.bytes", "only for kind = \"delimiter\"", ""},
        Wrong{"BytesMissing", tcp("framing = { kind = 'delimiter' }\n"), 5, 11,
              "listen[0].framing.bytes", "required, but missing", "1 to 16"},
        Wrong{"BytesEmpty", tcp("framing = { kind = 'delimiter', bytes = '' }\n"), 5, 41,
              "listen[0].framing.bytes", "empty", "1 to 16"},
        Wrong{"BytesLong", tcp("framing = { kind = 'delimiter', bytes = '0123456789abcdefg' }\n"),
              5, 41, "listen[0].framing.bytes", "too long", "1 to 16"},
        Wrong{"SizeForDelimiter",
              tcp("framing = { kind = 'delimiter', bytes = \"\\n\", size = 4 }\n"), 5, 47,
              "listen[0].framing.size", "only for kind = \"length\"", ""},
        Wrong{"Path", tcp(kFraming + "path = '/ws'\n"), 6, 1, "listen[0].path",
              "only for protocol = \"websocket\"", "tcp"},
        Wrong{"Page", tcp(kFraming + "page = 'x'\n"), 6, 1, "listen[0].page",
              "only for protocol = \"websocket\"", "tcp"},
        Wrong{"Forwarded", tcp(kFraming + "forwarded = 'none'\n"), 6, 1, "listen[0].forwarded",
              "only for protocol = \"websocket\"", "not on a tcp listener"},
        Wrong{"Origins", tcp(kFraming + "origins = []\n"), 6, 1, "listen[0].origins",
              "only for protocol = \"websocket\"", "tcp"},
        Wrong{"Ping", tcp(kFraming + "ping_interval = '1s'\n"), 6, 1, "listen[0].ping_interval",
              "only for protocol = \"websocket\"", "tcp"},
        Wrong{"CloseTimeout", tcp(kFraming + "close_timeout = '1s'\n"), 6, 1,
              "listen[0].close_timeout", "only for protocol = \"websocket\"", "tcp"},
        Wrong{"RelayWithoutChannels",
              "[[listen]]\naddress='unix:/a'\nbackend='relay'\nprotocol='tcp'\n" + kFraming, 1, 1,
              "listen[0].channels", "required, but missing", "relay"},
        Wrong{"RelayWithEmptyChannels",
              "[[listen]]\naddress='unix:/a'\nbackend='relay'\nprotocol='tcp'\nchannels = []\n" +
                  kFraming,
              5, 12, "listen[0].channels", "no channel to relay to", "at least one"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Backend, ListenError,
    testing::Values(
        Wrong{"ReservedName",
              "[backend.relay]\nservers=[{address='unix:/a'}]\nscript_filename='/a'", 1, 1,
              "backend.relay", "built-in", "another name"},
        Wrong{"OddName", "[backend.'a b']\nservers=[{address='unix:/a'}]\nscript_filename='/a'", 1,
              1, "backend.a b", "not a backend's name", "letters"},
        Wrong{"NotATable", "[backend]\napp = 5\n", 2, 7, "backend.app",
              "= 5: an integer, not a table", "[backend.NAME]"},
        Wrong{"Kind", backend("kind = 'http'\n"), 4, 8, "backend.app.kind", "unknown value",
              "\"fastcgi\""},
        Wrong{"ServersMissing", "[backend.app]\nscript_filename = '/a'\n", 1, 1,
              "backend.app.servers", "required, but missing", "address"},
        Wrong{"ServersEmpty", servers("[]"), 3, 11, "backend.app.servers", "empty", "at least one"},
        Wrong{"ServersOfText", servers("['127.0.0.1:9000']"), 3, 12, "backend.app.servers[0]",
              "a string, not a table", "{ address"},
        Wrong{"ServerKey", servers("[\n  { address = 'unix:/a', wieght = 5 },\n]"), 4, 26,
              "backend.app.servers[0].wieght", "did you mean \"weight\"?", "address, weight"},
        Wrong{"ServerAddressMissing", servers("[{ weight = 1 }]"), 3, 12,
              "backend.app.servers[0].address", "required, but missing", "HOST:PORT"},
        Wrong{"ServerPortZero", servers("[{ address = '127.0.0.1:0' }]"), 3, 24,
              "backend.app.servers[0].address", "port 0", "1 to 65535"},
        Wrong{"ServerTwice", servers("[{ address = 'unix:/a' }, { address = 'unix:/a' }]"), 3, 49,
              "backend.app.servers[1].address", "twice in backend.app.servers", "once"},
        Wrong{"Weight", servers("[{ address = 'unix:/a', weight = 1001 }]"), 3, 44,
              "backend.app.servers[0].weight", "out of range", "1 to 1000"},
        Wrong{"ScriptMissing", "[backend.app]\nservers = [{address='unix:/a'}]\n", 1, 1,
              "backend.app.script_filename", "required, but missing", "absolute"},
        Wrong{"ScriptRelative",
              "[backend.app]\nservers = [{address='unix:/a'}]\nscript_filename = 'a.php'\n", 3, 19,
              "backend.app.script_filename", "not an absolute path", "/"},
        Wrong{"RootRelative", backend("document_root = 'a'\n"), 4, 17, "backend.app.document_root",
              "not an absolute path", "/"},
        Wrong{"ParamName", backend("params = { 'A-B' = 'x' }\n"), 4, 12, "backend.app.params.A-B",
              "not a parameter's name", "letters, digits"},
        Wrong{"ParamType", backend("params = { A = 5 }\n"), 4, 16, "backend.app.params.A",
              "an integer, not a string", "a string"},
        Wrong{"Event", backend("events = ['message']\n"), 4, 11, "backend.app.events[0]",
              "unknown event", "\"connect\", \"close\""},
        Wrong{"Connections", backend("max_connections = 0\n"), 4, 19, "backend.app.max_connections",
              "out of range", "1 to 100000"},
        Wrong{"ConnectTimeout", backend("connect_timeout = '0s'\n"), 4, 19,
              "backend.app.connect_timeout", "out of range", "from \"1ms\""},
        Wrong{"ReadTimeout", backend("read_timeout = 10\n"), 4, 16, "backend.app.read_timeout",
              "without a unit", "\"Ns\""},
        Wrong{"Queue", backend("queue = -1\n"), 4, 9, "backend.app.queue", "out of range",
              "0 to 10000000"},
        Wrong{"MaxResponse", backend("max_response = 5\n"), 4, 16, "backend.app.max_response",
              "out of range", "from 1 KiB"},
        Wrong{"Order", backend("order = 'strict'\n"), 4, 9, "backend.app.order", "unknown value",
              "\"session\", \"none\""}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Api, ListenError,
    testing::Values(
        Wrong{"OpenToAll", "[[api]]\naddress = '0.0.0.0:8081'\n", 2, 11, "api[0].address",
              "anybody who reaches it", "token_file"},
        Wrong{"OpenToAllV6", "[[api]]\naddress = '[::]:8081'\n", 2, 11, "api[0].address",
              "anybody who reaches it", "token_file"},
        Wrong{"RespOpenToAll", "[[api]]\naddress = '10.0.0.1:6379'\nprotocol = 'resp'\n", 2, 11,
              "api[0].address", "anybody who reaches it", "token_file"},
        Wrong{"RouterOpenToAll", "[[api]]\naddress = '0.0.0.0:9010'\nprotocol = 'router'\n", 2, 11,
              "api[0].address", "\"router\" has no authentication", "a loopback or unix address"},
        Wrong{"RouterWithTokens",
              "[[api]]\naddress = '127.0.0.1:1'\nprotocol = 'router'\ntoken_file='x'\n", 4, 1,
              "api[0].token_file", "\"router\" has no authentication", "not on a router listener"},
        Wrong{"HttpSendQueue", "[[api]]\naddress='unix:/a'\nsend_queue = '1 MiB'\n", 3, 1,
              "api[0].send_queue", "only for protocol = \"resp\"", "not on"},
        Wrong{"RouterSendQueue",
              "[[api]]\naddress='unix:/a'\nprotocol='router'\nsend_queue = '1 MiB'\n", 4, 1,
              "api[0].send_queue", "only for protocol = \"resp\"", "not on"},
        Wrong{"SendQueueSmall",
              "[[api]]\naddress='unix:/a'\nprotocol='resp'\nsend_queue = '63 KiB'\n", 4, 14,
              "api[0].send_queue", "out of range", "from 64 KiB to 1 GiB"},
        Wrong{"SendQueueLarge",
              "[[api]]\naddress='unix:/a'\nprotocol='resp'\nsend_queue = '2 GiB'\n", 4, 14,
              "api[0].send_queue", "out of range", "from 64 KiB to 1 GiB"},
        Wrong{"ProtocolUnknown", "[[api]]\naddress = 'unix:/a'\nprotocol = 'grpc'\n", 3, 12,
              "api[0].protocol", "unknown value", "\"http\", \"resp\", \"router\""},
        Wrong{"TokenFileMissing", "[[api]]\naddress = '0.0.0.0:1'\ntoken_file = 'no.such'\n", 3, 14,
              "api[0].token_file", "No such file", "one token"},
        Wrong{"AddressMissing", "[[api]]\n", 1, 1, "api[0].address", "required, but missing",
              "HOST:PORT"},
        Wrong{"MaxBody", "[[api]]\naddress = 'unix:/a'\nmax_body = '2 GiB'\n", 3, 12,
              "api[0].max_body", "out of range", "to 1 GiB"},
        Wrong{"OneBracket", "[api]\naddress = 'unix:/a'\n", 1, 1, "api", "a table, not an array",
              "[[api]]"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Channel, ListenError,
    testing::Values(
        Wrong{"PatternMissing", "[[channel]]\nslow_consumer = 'close'\n", 1, 1,
              "channel[0].pattern", "required, but missing", "a channel's name"},
        Wrong{"PolicyMissing", "[[channel]]\npattern = 'a'\n", 1, 1, "channel[0].slow_consumer",
              "required, but missing", "too slowly"},
        Wrong{"PolicyUnknown", "[[channel]]\npattern = 'a'\nslow_consumer = 'drop'\n", 3, 17,
              "channel[0].slow_consumer", "unknown value", "\"drop-newest\""},
        Wrong{"PatternEmpty", "[[channel]]\npattern = ''\nslow_consumer = 'close'\n", 2, 11,
              "channel[0].pattern", "no pattern of channel names", "1 to 255 bytes"},
        Wrong{"PatternTooLong",
              "[[channel]]\npattern = '" + std::string(256, 'a') + "'\nslow_consumer = 'close'\n",
              2, 11, "channel[0].pattern", "no pattern of channel names", "1 to 255 bytes"},
        Wrong{"PatternTwice",
              "[[channel]]\npattern = 'a'\nslow_consumer = 'close'\n"
              "[[channel]]\npattern = 'a'\nslow_consumer = 'close'\n",
              5, 11, "channel[1].pattern", "twice in [[channel]]", "once"}),
    row_name);

TEST(ChannelRules, AreAtMost64) {
  std::string toml = "[[listen]]\naddress = '127.0.0.1:0'\nbackend = 'echo'\n";
  for (int i = 0; i < 64; ++i)
    toml += "[[channel]]\npattern = '" + std::to_string(i) + "'\nslow_consumer = 'close'\n";
  EXPECT_TRUE(load_text(toml, "x.toml"));
  Loaded refused = load_text(toml + "[[channel]]\npattern = 'a'\nslow_consumer = 'close'\n", "x");
  ASSERT_EQ(refused.problems.size(), 1u);
  EXPECT_NE(refused.problems[0].text().find("channel[64].pattern"), std::string::npos);
}

}  // namespace
}  // namespace holdfast::conf
