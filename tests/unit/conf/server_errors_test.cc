// What is wrong in [server], [log], [limits], or in the file as a whole: each row has one problem,
// at one place.
#include "tests/unit/conf/wrong.h"

namespace holdfast::conf {
namespace {

class ServerError : public testing::TestWithParam<Wrong> {};

TEST_P(ServerError, IsNamedWithPlaceKeyAndWhatIsAllowed) {
  expect_exactly_this(GetParam(), "/etc/holdfast/holdfast.toml");
}

INSTANTIATE_TEST_SUITE_P(
    Syntax, ServerError,
    testing::Values(
        Wrong{"MissingValue", "\nx = \n", 2, 5, "", "missing value", "TOML"},
        Wrong{"EndsAmidAnArray", "listen = [[[[", 1, 14, "", "syntax error", "TOML"},
        Wrong{"NoQuotes", "[log]\nlevel = debug\n", 2, 9, "", "syntax error", "TOML"},
        Wrong{"KeyTwice", "[server]\nnode_id = 1\nnode_id = 2\n", 3, 11, "", "line 2", "TOML"},
        Wrong{"TableTwice", "[log]\n[server]\n\n[log]\n", 4, 1, "", "line 1", "TOML"},
        Wrong{"TwoOnOneLine", "[server] node_id = 1\n", 1, 9, "", "expected newline", "TOML"},
        Wrong{"NoEquals", "\n\nworkers\n", 3, 8, "", "=", "TOML"},
        Wrong{"OpenArray", "a = [1,\n2,\n=]\n", 3, 1, "", "(see line 1)", "TOML"},
        Wrong{"NotUtf8", "[log]\n# \xe4\n", 2, 3, "", "not text", "UTF-8"},
        Wrong{"OverlongUtf8", "# \xc0\xaf\n", 1, 3, "", "not text", "UTF-8"},
        Wrong{"Surrogate", "#\xed\xa0\x80\n", 1, 2, "", "not text", "UTF-8"},
        Wrong{"CutUtf8", "#\xf0\x9f\x98", 1, 2, "", "not text", "UTF-8"},
        Wrong{"Nul", std::string("a\0", 2), 1, 2, "", "not text", "NUL"},
        Wrong{"DeepArrays", "a = " + std::string(100'000, '['), 1, 37, "", "deep", "32"},
        Wrong{"DeepAfterString", "a = [']', \"\\\"]\", '''\n]''', " + std::string(40, '['), 2, 38,
              "", "deep", "32"},
        Wrong{"TooManyDots", "[a" + std::string(70, '.') + "b]", 1, 67, "", "deep", "64"},
        Wrong{"TooLarge", "#" + std::string(200'000, 'x'), 0, 0, "", "too large", "128 KiB"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Keys, ServerError,
    testing::Values(
        Wrong{"UnknownKey", "[limits]\nmax_sesions = 5\n", 2, 1, "limits.max_sesions",
              "unknown key, did you mean \"max_sessions\"?", "max_sessions, max_message_size"},
        Wrong{"IndentedUnknownKey", "[log]\n  \"levl\"   = 'info'\n", 2, 3, "log.levl",
              "did you mean \"level\"", "level, target, format"},
        Wrong{"DottedUnknownKey", "server.node = 1\n", 1, 8, "server.node",
              "did you mean \"node_id\"", "instance, "},
        Wrong{"UnknownTable", "[log]\n[limts]\nx = 1\n", 2, 1, "limts", "did you mean \"limits\"",
              "server, log, limits, backend, listen, api"},
        Wrong{"NothingNear", "[log]\ncolour = true\n", 2, 1, "log.colour", "unknown key", "level"},
        Wrong{"TableIsAValue", "server = 5\n", 1, 10, "server", "= 5: an integer, not a table",
              "[server]"},
        Wrong{"TableIsAnArray", "[[log]]\nlevel = 'info'\n", 1, 1, "log", "an array, not a table",
              "[log]"}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Server, ServerError,
    testing::Values(
        Wrong{"InstanceType", "[server]\ninstance = 5\n", 2, 12, "server.instance",
              "= 5: an integer, not a string", "a string"},
        Wrong{"InstanceLetters", "[server]\ninstance = \"My App\"\n", 2, 12, "server.instance",
              "= \"My App\": not a name", "a-z"},
        Wrong{"InstanceEmpty", "[server]\ninstance = ''\n", 2, 12, "server.instance", "not a name",
              "1 to 32"},
        Wrong{"InstanceLong", "[server]\ninstance='" + std::string(33, 'a') + "'", 2, 10,
              "server.instance", "not a name", "1 to 32"},
        Wrong{"WorkersZero", "[server]\nworkers = 0\n", 2, 11, "server.workers",
              "= 0: out of range", "\"auto\", or 1 to 32"},
        Wrong{"WorkersNegative", "[server]\nworkers = -1\n", 2, 11, "server.workers",
              "= -1: out of range", "1 to 32"},
        Wrong{"WorkersWord", "[server]\nworkers = \"all\"\n", 2, 11, "server.workers",
              "= \"all\": neither", "\"auto\""},
        Wrong{"WorkersAboveHalfOfMax", "[server]\nmax_workers = 8\nworkers = 5\n", 3, 11,
              "server.workers", "= 5: out of range", "1 to 4 (half of max_workers)"},
        Wrong{"MaxWorkersOne", "[server]\nmax_workers = 1\n", 2, 15, "server.max_workers",
              "out of range", "2 to 256"},
        Wrong{"MaxWorkersHuge", "[server]\nmax_workers = 99999999999999999999\n", 2, 15,
              "server.max_workers", "= 99999999999999999999: out of range", "2 to 256"},
        Wrong{"RuntimeDirRelative", "[server]\nruntime_dir = \"run\"\n", 2, 15,
              "server.runtime_dir", "not an absolute path", "/"},
        Wrong{"RuntimeDirLong", "[server]\nruntime_dir = '/" + std::string(90, 'x') + "'\n", 2, 15,
              "server.runtime_dir", "too long", "at most 90"},
        Wrong{"UserOdd", "[server]\nuser = \"www data\"\n", 2, 8, "server.user", "not a user name",
              "user"},
        Wrong{"NodeZero", "[server]\nnode_id = 0\n", 2, 11, "server.node_id", "out of range",
              "1 to 65535"},
        Wrong{"NodeFloat", "[server]\nnode_id = 1.0\n", 2, 11, "server.node_id",
              "= 1.0: a floating-point number, not an integer", "1 to 65535"},
        Wrong{"DurationWithoutUnit", "[server]\ndrain_timeout = 30\n", 2, 17,
              "server.drain_timeout", "= 30: an integer without a unit", "\"Nms\", \"Ns\""},
        Wrong{"DurationTextWithoutUnit", "[server]\nstop_timeout = '30'\n", 2, 16,
              "server.stop_timeout", "= '30': no unit", "\"Nms\", \"Ns\""},
        Wrong{"DurationUnit", "[server]\nstop_timeout = \"3 sec\"\n", 2, 16, "server.stop_timeout",
              "unknown unit \"sec\"", "from \"0s\" to \"1h\""},
        Wrong{"DurationLong", "[server]\ndrain_timeout = \"25h\"\n", 2, 17, "server.drain_timeout",
              "out of range", "to \"24h\""},
        Wrong{"DurationShort", "[server]\nhang_timeout = \"99ms\"\n", 2, 16, "server.hang_timeout",
              "out of range", "from \"100ms\""},
        Wrong{"DurationTime", "[server]\nhang_timeout = 00:00:10\n", 2, 16, "server.hang_timeout",
              "= 00:00:10: a date or time, not a duration", "\"Ns\""}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Log, ServerError,
    testing::Values(
        Wrong{"Level", "[log]\nlevel = \"warning\"\n", 2, 9, "log.level",
              "unknown value, did you mean \"warn\"?",
              "\"trace\", \"debug\", \"info\", \"warn\", \"error\""},
        Wrong{"LevelCase", "[log]\nlevel = \"INFO\"\n", 2, 9, "log.level",
              "= \"INFO\": unknown value", "\"info\""},
        Wrong{"LevelType", "[log]\nlevel = 3\n", 2, 9, "log.level", "an integer", "\"trace\""},
        Wrong{"Format", "[log]\nformat = \"xml\"\n", 2, 10, "log.format", "unknown value",
              "\"text\", \"json\""},
        Wrong{"TargetEmpty", "[log]\ntarget = \"\"\n", 2, 10, "log.target", "empty", "\"stderr\""}),
    row_name);

INSTANTIATE_TEST_SUITE_P(
    Limits, ServerError,
    testing::Values(
        Wrong{"SizeUnit", "[limits]\nmax_message_size = \"64 KB\"\n", 2, 20,
              "limits.max_message_size", "= \"64 KB\": unknown unit \"KB\"", "\"N KiB\""},
        Wrong{"SizeZero", "[limits]\nmax_message_size = 0\n", 2, 20, "limits.max_message_size",
              "= 0: out of range", "from 1 B to 256 MiB"},
        Wrong{"SizeNegative", "[limits]\nmax_message_size = -5\n", 2, 20, "limits.max_message_size",
              "= -5: out of range", "from 1 B"},
        Wrong{"SizeBoolean", "[limits]\nmax_header_size = true\n", 2, 19, "limits.max_header_size",
              "= true: a boolean, not a size", "a number of bytes"},
        Wrong{"SizeLarge", "[limits]\nmax_header_size = \"2 MiB\"\n", 2, 19,
              "limits.max_header_size", "out of range", "to 1 MiB"},
        Wrong{"HeadersZero", "[limits]\nmax_headers = 0\n", 2, 15, "limits.max_headers",
              "out of range", "1 to 10000"},
        Wrong{"SessionsTimesWorkers", "[limits]\nmax_sessions = 67_108_864\n", 2, 16,
              "limits.max_sessions", "max_workers x max_sessions = 64 x 67108864", "67108863"},
        Wrong{"SessionsZero", "[limits]\nmax_sessions = 0\n", 2, 16, "limits.max_sessions",
              "out of range", "1 to 100000000"},
        Wrong{"MailboxNoPowerOfTwo", "[limits]\nmailbox_size = \"300 KiB\"\n", 2, 16,
              "limits.mailbox_size", "not a power of two", "at least 256 KiB"},
        Wrong{"MailboxSmall", "[limits]\nmailbox_size = \"128 KiB\"\n", 2, 16,
              "limits.mailbox_size", "too small for max_message_size", "at least 256 KiB"},
        Wrong{"MailboxSmallForMessages",
              "[limits]\nmax_message_size = \"1 MiB\"\nmailbox_size = \"2 MiB\"\n", 3, 16,
              "limits.mailbox_size", "too small for max_message_size", "at least 4 MiB"},
        Wrong{"MailboxesTooMuch", "[limits]\nmax_message_size = \"128 MiB\"\n", 2, 20,
              "limits.max_message_size", "4096 mailboxes of 1 GiB", "1024 GiB"},
        Wrong{"BucketsNoPowerOfTwo", "[limits]\nfilter_buckets = 1000\n", 2, 18,
              "limits.filter_buckets", "not a power of two", "64 to 16777216"},
        Wrong{"KeysNoPowerOfTwo", "[limits]\nidempotency_keys = 1000\n", 2, 20,
              "limits.idempotency_keys", "not a power of two", "0 (none are taken), or"},
        Wrong{"KeysFew", "[limits]\nidempotency_keys = 32\n", 2, 20, "limits.idempotency_keys",
              "too few", "from 64 to 16777216"},
        Wrong{"KeysMany", "[limits]\nidempotency_keys = 33_554_432\n", 2, 20,
              "limits.idempotency_keys", "out of range", "0 to 16777216"},
        Wrong{"KeysNegative", "[limits]\nidempotency_keys = -64\n", 2, 20,
              "limits.idempotency_keys", "out of range", "0 to 16777216"},
        Wrong{"PerIpMany", "[limits]\nmax_connections_per_ip = 100_000_001\n", 2, 26,
              "limits.max_connections_per_ip", "out of range", "0 to 100000000"},
        Wrong{"ConnectRateMany", "[limits]\nconnect_rate_per_ip = 10_001\n", 2, 23,
              "limits.connect_rate_per_ip", "out of range", "0 to 10000"},
        Wrong{"ByteRateSmall", "[limits]\nbyte_rate = \"63 KiB\"\n", 2, 13, "limits.byte_rate",
              "less than one message of max_message_size", "0 (no limit), or at least 64 KiB"},
        Wrong{"UnsentNegative", "[limits]\nmax_unsent_per_worker = -1\n", 2, 25,
              "limits.max_unsent_per_worker", "", ""},
        Wrong{"RateNegative", "[limits]\nmessage_rate = -1\n", 2, 16, "limits.message_rate",
              "out of range", "0 to 1000000"}),
    row_name);

}  // namespace
}  // namespace holdfast::conf
