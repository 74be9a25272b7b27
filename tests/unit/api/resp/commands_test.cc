// RESP commands one by one: what they answer, what they make of their arguments, and every error.

#include "tests/unit/api/resp/harness.h"
#include "worker/api/http/json_command.h"

namespace holdfast::api {
namespace {

class RespCommands : public RespTest {
 protected:
  struct Case {
    std::string request, answer;
  };
  void expect_answers(std::initializer_list<Case> cases) {
    for (const Case& c : cases) EXPECT_EQ(answer_of(line(c.request)), line(c.answer)) << c.request;
  }
  const shm::SessionId id = shm::SessionId::make(7, 3);
};

// ---- the connection's own

TEST_F(RespCommands, AnswerAsRedisDoes) {
  expect_answers({
      {"ping", "+PONG"},
      {"PiNg a", "$1\r\na"},
      {"PING a b", "-ERR wrong number of arguments for 'ping' command"},
      {"ECHO", "-ERR wrong number of arguments for 'echo' command"},
      {"ECHO a", "$1\r\na"},
      {"SELECT 0", "+OK"},
      {"SELECT 99", "-ERR DB index is out of range"},
      {"SELECT -1", "-ERR DB index is out of range"},
      {"SELECT x", "-ERR value is not an integer or out of range"},
      {"SELECT", "-ERR wrong number of arguments for 'select' command"},
      {"AUTH", "-ERR wrong number of arguments for 'auth' command"},
      {"CLIENT", "-ERR wrong number of arguments for 'client' command"},
      {"CLIENT FOO", "-ERR unknown subcommand 'FOO'. Try CLIENT HELP."},
      {"CLIENT ''", "-ERR unknown subcommand ''. Try CLIENT HELP."},
      {"CLIENT|ID x", "-ERR unknown command 'CLIENT|ID', with args beginning with: 'x' "},
      {"CLIENT SETNAME", "-ERR wrong number of arguments for 'client|setname' command"},
      {"CLIENT SETNAME 'a b'",
       "-ERR Client names cannot contain spaces, newlines or special characters."},
      {"CLIENT GETNAME", "$-1"},
      {"CLIENT ID x", "-ERR wrong number of arguments for 'client|id' command"},
      {"CLIENT SETINFO lib-name a", "+OK"},
      {"CLIENT SETINFO LIB-VER 1", "+OK"},
      {"CLIENT SETINFO lib-ver 'a b'",
       "-ERR lib-ver cannot contain spaces, newlines or special characters."},
      {"CLIENT SETINFO foo a", "-ERR Unrecognized option 'foo'"},
      {"PUBSUB", "-ERR wrong number of arguments for 'pubsub' command"},
      {"PUBSUB FOO", "-ERR unknown subcommand 'FOO'. Try PUBSUB HELP."},
      {"PUBSUB CHANNELS a b",
       "-ERR unknown subcommand or wrong number of arguments for 'CHANNELS'. Try PUBSUB HELP."},
      {"PUBSUB NUMPAT", ":0"},
      {"PUBSUB NUMPAT x", "-ERR wrong number of arguments for 'pubsub|numpat' command"},
      {"PUBSUB NUMSUB", "*0"},
      {"COMMAND COUNT x", "-ERR wrong number of arguments for 'command|count' command"},
      {"COMMAND FOO", "-ERR unknown subcommand 'FOO'. Try COMMAND HELP."},
      {"COMMAND DOCS ping", "*0"},
      {"COMMAND LIST x", "-ERR syntax error"},
      {"RESET", "+RESET"},
      {"RESET x", "-ERR wrong number of arguments for 'reset' command"},
      {"PUBLISH x", "-ERR wrong number of arguments for 'publish' command"},
      {"HF.SEND x", "-ERR wrong number of arguments for 'hf.send' command"},
      {"HELLO abc", "-ERR Protocol version is not an integer or out of range"},
      {"HELLO 99999999999999999999", "-ERR Protocol version is not an integer or out of range"},
      {"HELLO 4", "-NOPROTO unsupported protocol version"},
      {"HELLO 3 FOO", "-ERR Syntax error in HELLO option 'FOO'"},
      {"HELLO 3 AUTH a", "-ERR Syntax error in HELLO option 'AUTH'"},
      {"HELLO 3 setname", "-ERR Syntax error in HELLO option 'setname'"},
      {"HELLO 3 AUTH a b", "-WRONGPASS invalid username-password pair or user is disabled."},
      {"HELLO 2 SETNAME 'a b'",
       "-ERR Client names cannot contain spaces, newlines or special characters."},
  });
  ASSERT_EQ(router.seen.size(), 1u) << "PUBSUB NUMPAT asks all workers";
  EXPECT_EQ(router.seen[0].channels, std::vector{reserved_name(NameKind::pattern, {})});
}

TEST_F(RespCommands, AnUnknownOneIsAnsweredAsRedisDoes) {
  std::string xs(200, 'x'), ys(60, 'y');
  expect_answers({
      {"FOO a b", "-ERR unknown command 'FOO', with args beginning with: 'a' 'b' "},
      {"foo", "-ERR unknown command 'foo', with args beginning with: "},
      {"''", "-ERR unknown command '', with args beginning with: "},
      {"foo " + xs + " y",
       "-ERR unknown command 'foo', with args beginning with: '" + xs.substr(0, 128) + "' "},
      {"foo " + ys + " " + ys + " z w",
       "-ERR unknown command 'foo', with args beginning with: '" + ys + "' '" + ys + "' 'z' "},
      {xs + " a",
       "-ERR unknown command '" + xs.substr(0, 128) + "', with args beginning with: 'a' "},
      {"\"f\\no\" \"a\\x00b\" z", "-ERR unknown command 'f o', with args beginning with: 'a' 'z' "},
      {"GET a", "-ERR unknown command 'GET', with args beginning with: 'a' "},
  });
  EXPECT_EQ(stats().api_errors.get(), 8u);
}

TEST_F(RespCommands, HelloSaysWhatRedisSays) {
  RespLine client(context);
  std::string id_line = client.say("CLIENT ID\r\n");
  std::string rest = "$2\r\nid\r\n" + id_line +
                     "$4\r\nmode\r\n$10\r\nstandalone\r\n$4\r\nrole\r\n$6\r\nmaster\r\n"
                     "$7\r\nmodules\r\n*0\r\n";
  std::string begin =
      "$6\r\nserver\r\n$5\r\nredis\r\n$7\r\nversion\r\n$5\r\n7.0.0\r\n$5\r\nproto\r\n";
  EXPECT_EQ(client.say("HELLO\r\n"), "*14\r\n" + begin + ":2\r\n" + rest);
  EXPECT_EQ(client.say("HELLO 3 AUTH default any SETNAME me\r\n"),
            "%7\r\n" + begin + ":3\r\n" + rest);
  EXPECT_EQ(client.say("CLIENT GETNAME\r\n"), "$2\r\nme\r\n");
  EXPECT_EQ(client.say("HELLO 2 SETNAME you FOO\r\n"),
            "-ERR Syntax error in HELLO option 'FOO'\r\n");
  EXPECT_EQ(client.say("CLIENT GETNAME\r\n"), "$2\r\nme\r\n") << "no half effect";
  EXPECT_EQ(client.say("HELLO\r\n"), "%7\r\n" + begin + ":3\r\n" + rest);
  EXPECT_EQ(client.say("RESET\r\nCLIENT GETNAME\r\n"), "+RESET\r\n$-1\r\n");
}

TEST_F(RespCommands, NamesAreKept) {
  RespLine client(context);
  EXPECT_EQ(
      client.say("CLIENT SETNAME ab\r\nCLIENT GETNAME\r\nCLIENT SETNAME ''\r\nCLIENT GETNAME\r\n"),
      "+OK\r\n$2\r\nab\r\n+OK\r\n$-1\r\n");
  EXPECT_EQ(client.say("CLIENT SETNAME " + std::string(256, 'n') + "\r\n"),
            "-ERR Client names cannot be longer than 255 bytes.\r\n");
}

TEST_F(RespCommands, SayWhatThereIs) {
  size_t count = 0;
  for (const RespCommand& command : resp_commands())
    count += command.name.find('|') == std::string_view::npos ? 1 : 0;
  EXPECT_EQ(answer_of("COMMAND COUNT\r\n"), fmt::format(":{}\r\n", count));
  EXPECT_TRUE(answer_of("COMMAND\r\n")
                  .starts_with(fmt::format("*{}\r\n*10\r\n$4\r\nauth\r\n:-2\r\n"
                                           "*1\r\n+no_auth\r\n",
                                           count)));
  EXPECT_EQ(answer_of("COMMAND INFO PUBLISH nosuch\r\n"),
            "*2\r\n*10\r\n$7\r\npublish\r\n:3\r\n*0\r\n:0\r\n:0\r\n:0\r\n*0\r\n*0\r\n*0\r\n*0\r\n$-"
            "1\r\n");
  EXPECT_TRUE(
      answer_of("COMMAND LIST\r\n").starts_with(fmt::format("*{}\r\n$4\r\nauth\r\n", count)));
  EXPECT_EQ(answer_of("PUBSUB HELP\r\n"),
            "*7\r\n+PUBSUB <subcommand> [<arg> ...]. Subcommands are:\r\n+CHANNELS\r\n+HELP\r\n"
            "+NUMPAT\r\n+NUMSUB\r\n+SHARDCHANNELS\r\n+SHARDNUMSUB\r\n");
}

// ---- pushes and changes

TEST_F(RespCommands, BecomeOneCommandEach) {
  std::string hex = id.hex();
  Command c = command_of("PUBLISH news hello\r\n");
  EXPECT_EQ(c.op, Op::publish);
  EXPECT_EQ(c.channels, std::vector<std::string>{"news"});
  EXPECT_EQ(c.data, "hello");
  EXPECT_FALSE(c.binary);

  c = command_of("HF.SEND " + hex + " hello\r\n");
  EXPECT_EQ(c.op, Op::send);
  EXPECT_EQ(c.sessions, std::vector{id});
  EXPECT_EQ(command_of("hf.send " + id.base64url() + " ''\r\n").sessions, std::vector{id});

  c = command_of("HF.SENDUSER ann hello\r\n");
  EXPECT_EQ(c.op, Op::send_user);
  EXPECT_EQ(c.users, std::vector<std::string>{"ann"});
  EXPECT_EQ(command_of("HF.SENDALL hello\r\n").op, Op::send_all);

  c = command_of("HF.JOIN news " + hex + " " + hex + "\r\n");
  EXPECT_EQ(c.op, Op::join);
  EXPECT_EQ(c.channels, std::vector<std::string>{"news"});
  EXPECT_EQ(c.sessions, (std::vector{id, id}));
  EXPECT_EQ(command_of("HF.LEAVE news " + hex + "\r\n").op, Op::leave);
  c = command_of("HF.JOINUSER news ann bob\r\n");
  EXPECT_EQ(c.op, Op::join);
  EXPECT_EQ(c.users, (std::vector<std::string>{"ann", "bob"}));
  EXPECT_EQ(command_of("HF.LEAVEUSER news ann\r\n").op, Op::leave);

  c = command_of("HF.BIND " + hex + " ann\r\n");
  EXPECT_EQ(c.op, Op::bind);
  EXPECT_EQ(c.sessions, std::vector{id});
  EXPECT_EQ(c.users, std::vector<std::string>{"ann"});
  EXPECT_EQ(command_of("HF.UNBIND " + hex + "\r\n").op, Op::unbind);
  EXPECT_TRUE(command_of("HF.UNBIND " + hex + " ann\r\n").users.empty());
}

TEST_F(RespCommands, KickTakesACodeAndAReason) {
  Command c = command_of("HF.KICK " + id.hex() + "\r\n");
  EXPECT_EQ(c.op, Op::kick);
  EXPECT_EQ(c.sessions, std::vector{id});
  EXPECT_EQ(c.code, kDefaultKickCode);
  EXPECT_EQ(c.reason, "");
  c = command_of("HF.KICKUSER ann 1000\r\n");
  EXPECT_EQ(c.users, std::vector<std::string>{"ann"});
  EXPECT_EQ(c.code, 1000);
  c = command_of("HF.KICKCHANNEL news 4999 'too late'\r\n");
  EXPECT_EQ(c.channels, std::vector<std::string>{"news"});
  EXPECT_EQ(c.code, 4999);
  EXPECT_EQ(c.reason, "too late");
}

TEST_F(RespCommands, DataSetsOrMerges) {
  Command c = command_of("HF.DATA " + id.hex() + " merge a 1 b ''\r\n");
  EXPECT_EQ(c.op, Op::data);
  EXPECT_TRUE(c.merge);
  EXPECT_EQ(c.pairs, (std::vector<std::pair<std::string, std::string>>{{"a", "1"}, {"b", ""}}));
  c = command_of("HF.DATA " + id.hex() + " SET\r\n");
  EXPECT_FALSE(c.merge);
  EXPECT_TRUE(c.pairs.empty());
}

TEST_F(RespCommands, AMessageThatIsNoTextIsBinary) {
  EXPECT_FALSE(command_of("PUBLISH a \"\\xc3\\xa4\"\r\n").binary);
  EXPECT_TRUE(command_of("PUBLISH a \"\\xc3\"\r\n").binary);
  EXPECT_TRUE(command_of("HF.SEND " + id.hex() + " \"\\xff\"\r\n").binary);
}

TEST_F(RespCommands, ABadArgumentDoesNothing) {
  std::string hex = id.hex();
  std::string id_error = "-ERR 'x' is no session id (32 hex digits or 22 base64url digits)";
  std::string channel_error =
      "-ERR '' is no channel (1 to 255 bytes of UTF-8 without control characters)";
  std::string user_error = "-ERR '' is no user (1 to 64 bytes of UTF-8 without control characters)";
  std::string code_error = "-ERR code must be 1000 or a whole number from 3000 to 4999";
  expect_answers({
      {"HF.SEND x m", id_error},
      {"HF.JOIN c x", id_error},
      {"HF.JOIN c " + hex + " x", id_error},
      {"HF.LEAVE c x", id_error},
      {"HF.BIND x u", id_error},
      {"HF.UNBIND x", id_error},
      {"HF.KICK x", id_error},
      {"HF.DATA x SET", id_error},
      {"PUBLISH '' m", channel_error},
      {"HF.JOIN '' " + hex, channel_error},
      {"HF.LEAVE '' " + hex, channel_error},
      {"HF.KICKCHANNEL ''", channel_error},
      {"HF.SENDUSER '' m", user_error},
      {"HF.BIND " + hex + " ''", user_error},
      {"HF.UNBIND " + hex + " ''", user_error},
      {"HF.UNBIND " + hex + " a b", "-ERR wrong number of arguments for 'hf.unbind' command"},
      {"HF.JOINUSER c a ''", user_error},
      {"HF.KICKUSER ''", user_error},
      {"HF.KICK " + hex + " 999", code_error},
      {"HF.KICK " + hex + " 5000", code_error},
      {"HF.KICK " + hex + " 65536", code_error},
      {"HF.KICK " + hex + " 4000x", code_error},
      {"HF.KICK " + hex + " 4000 " + std::string(124, 'r'),
       "-ERR reason must be at most 123 bytes of UTF-8"},
      {"HF.KICK " + hex + " 4000 \"\\xff\"", "-ERR reason must be at most 123 bytes of UTF-8"},
      {"HF.KICK " + hex + " 4000 a b", "-ERR wrong number of arguments for 'hf.kick' command"},
      {"HF.DATA " + hex + " FOO a b",
       "-ERR syntax error: SET or MERGE comes behind the session id"},
      {"HF.DATA " + hex + " SET a", "-ERR wrong number of arguments for 'hf.data' command"},
      {"HF.DATA " + hex + " MERGE", "-ERR wrong number of arguments for 'hf.data' command"},
      {"HF.DATA " + hex + " SET '' b", "-ERR keys and values must be UTF-8, and keys not empty"},
      {"HF.DATA " + hex + " SET a \"\\xff\"",
       "-ERR keys and values must be UTF-8, and keys not empty"},
      {"HF.DATA " + hex + " SET a 1 a 2", "-ERR a key is given twice"},
      {"HF.DATA " + hex + " SET a " + std::string(4096, 'v'),
       "-ERR 4097 bytes of keys and values; a session holds 4096"},
      {"PUBLISH a " + std::string(kMaxMessage + 1, 'm'),
       "-ERR message of 1001 bytes; limits.max_message_size is 1000"},
      {"HF.SENDALL " + std::string(kMaxMessage + 1, 'm'),
       "-ERR message of 1001 bytes; limits.max_message_size is 1000"},
  });
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(RespCommands, TooManyOfOneKindAreRefused) {
  std::string users = "HF.JOINUSER c", pairs = "HF.DATA " + id.hex() + " SET";
  for (int i = 0; i < 10'001; ++i) users += " u";
  for (int i = 0; i < 1'001; ++i) pairs += fmt::format(" k{} v", i);
  expect_answers({{users, "-ERR at most 10000 in one command"},
                  {pairs, "-ERR at most 1000 keys in one command"}});
  // What fits the bounds, but no record to another worker.
  std::string ids = "*10002\r\n$7\r\nHF.JOIN\r\n$1\r\nc\r\n";
  for (int i = 0; i < 10'000; ++i) ids += "$22\r\n" + id.base64url() + "\r\n";
  EXPECT_TRUE(answer_of(ids).starts_with("-ERR the command takes "));
  EXPECT_TRUE(router.seen.empty());
}

TEST_F(RespCommands, AnswerHowManyWereReached) {
  answer_with({.delivered = 3});
  EXPECT_EQ(answer_of("HF.SENDALL m\r\n"), ":3\r\n");
  answer_with({.delivered = 3, .workers_failed = 1, .partial = true});
  EXPECT_EQ(answer_of("HF.SENDALL m\r\n"), ":3\r\n");
  answer_with({.unknown = {id}});
  EXPECT_EQ(answer_of("HF.SEND " + id.hex() + " m\r\n"), ":0\r\n");
  EXPECT_EQ(answer_of("HF.BIND " + id.hex() + " u\r\n"), ":0\r\n");
}

TEST_F(RespCommands, SayWhatANumberCannot) {
  constexpr std::string_view kFull =
      "-TRYAGAIN nothing was done: the mailboxes of the workers concerned are full\r\n";
  answer_with({.failed = {id}, .workers_failed = 1});
  EXPECT_EQ(answer_of("HF.SEND " + id.hex() + " m\r\n"), kFull);
  answer_with({.workers_failed = 1});
  EXPECT_EQ(answer_of("PUBLISH a m\r\n"), kFull);
  answer_with({.partial = true});
  EXPECT_EQ(
      answer_of("PUBLISH a m\r\n"),
      "-ERR the workers concerned did not answer in time: whether it was done is not known\r\n");
  answer_with({.refused = 1});
  EXPECT_EQ(answer_of("HF.JOIN c " + id.hex() + "\r\n"),
            "-ERR no session joined: limits.max_channels_per_session is reached\r\n");
  EXPECT_EQ(answer_of("HF.DATA " + id.hex() + " SET a b\r\n"),
            "-ERR the session's data would be more than 4096 bytes; nothing was changed\r\n");
  EXPECT_EQ(stats().api_errors.get(), 5u);
}

}  // namespace
}  // namespace holdfast::api
