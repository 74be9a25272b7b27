#include "worker/routing/command.h"

#include <gtest/gtest.h>

#include <random>
#include <utility>

#include "base/bytes.h"

namespace holdfast {
namespace {

using shm::SessionId;

Command full_command() {
  Command c;
  c.op = Op::kick;
  c.binary = true;
  c.code = 4001;
  c.sessions = {{1, 2}, {0xffff'ffff'ffff'ffff, 0}};
  c.exclude = {{5, 6}};
  c.channels = {"room 1", "", std::string(255, 'x')};
  c.users = {"ümlaut", "42"};
  c.data = std::string("a\0b", 3) + std::string(1000, 'd');
  c.reason = "bye";
  return c;
}

Command data_command() {
  return {.op = Op::data,
          .merge = true,
          .sessions = {{1, 2}},
          .pairs = {{"theme", "dark"}, {"gone", ""}, {"", "no key"}}};
}

Command list_command() {
  return {.op = Op::list_members,
          .channels = {"room"},
          .page = {.limit = 7, .position = 0xffff'0000'1234, .prefix = "p", .after = "a"}};
}

void expect_equal(const Command& a, const Command& b) {
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.binary, b.binary);
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.sessions, b.sessions);
  EXPECT_EQ(a.exclude, b.exclude);
  EXPECT_EQ(a.channels, b.channels);
  EXPECT_EQ(a.users, b.users);
  EXPECT_EQ(a.data, b.data);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.merge, b.merge);
  EXPECT_EQ(a.pairs, b.pairs);
  EXPECT_EQ(a.page.limit, b.page.limit);
  EXPECT_EQ(a.page.position, b.page.position);
  EXPECT_EQ(a.page.prefix, b.page.prefix);
  EXPECT_EQ(a.page.after, b.page.after);
}

TEST(Command, ComesBackFromItsBytesUnchanged) {
  for (const Command& c : {full_command(), data_command(), list_command()}) {
    std::string bytes = c.encode();
    EXPECT_EQ(bytes.size(), c.encoded_bytes());
    std::optional<Command> back = Command::decode(bytes);
    ASSERT_TRUE(back);
    expect_equal(c, *back);
  }
}

TEST(Command, MayBeEncodedWithAPayloadThatLiesElsewhere) {
  Command c = full_command();
  std::string payload = std::exchange(c.data, "");
  std::string bytes = "before";
  c.encode_to(bytes, payload);
  EXPECT_EQ(bytes, "before" + full_command().encode());
}

TEST(Command, ChangesStateIfALaterOneMayDependOnIt) {
  for (Op op : {Op::join, Op::leave, Op::bind, Op::unbind, Op::kick, Op::data})
    EXPECT_TRUE(changes_state(op)) << int(op);
  for (Op op : {Op::send, Op::send_user, Op::send_all, Op::publish, Op::get_session,
                Op::list_members, Op::list_channels, Op::list_users})
    EXPECT_FALSE(changes_state(op)) << int(op);
}

TEST(Command, OfEveryOperationComesBackEvenWhenEmpty) {
  for (auto op = uint8_t(Op::send); op <= uint8_t(kLastOp); ++op) {
    Command c{.op = Op(op)};
    std::optional<Command> back = Command::decode(c.encode());
    ASSERT_TRUE(back) << int(op);
    expect_equal(c, *back);
  }
}

TEST(Command, CutShortAnywhereIsRefused) {
  for (const Command& c : {full_command(), data_command(), list_command()}) {
    std::string bytes = c.encode();
    for (size_t n = 0; n < bytes.size(); ++n)
      EXPECT_FALSE(Command::decode(std::string_view(bytes).substr(0, n))) << n;
  }
}

TEST(Command, WithBytesLeftOverIsRefused) {
  EXPECT_FALSE(Command::decode(full_command().encode() + "x"));
}

TEST(Command, OfUnknownOperationOrFlagIsRefused) {
  std::string bytes = full_command().encode();
  for (int op : {0, int(kLastOp) + 1, 255}) {
    std::string bad = bytes;
    bad[0] = char(op);
    EXPECT_FALSE(Command::decode(bad)) << op;
  }
  bytes[1] = 4;
  EXPECT_FALSE(Command::decode(bytes));
}

// A count taken on trust would ask for 64 GiB here.
TEST(Command, CountLargerThanTheBytesLeftIsRefusedWithoutTakingMemory) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put(uint32_t{1});            // op send, not binary, code 0
  out.put(uint32_t{0xffff'ffff});  // sessions
  bytes.append(64, '\0');
  EXPECT_FALSE(Command::decode(bytes));
}

// Whatever decode() accepts must be a command that encodes to the very same bytes.
TEST(Command, ChangedBytesAreRefusedOrMeanWhatTheySay) {
  std::mt19937 random(4711);
  size_t refused = 0;
  for (int round = 0; round < 30'000; ++round) {
    std::string bytes = (round % 3 == 0   ? full_command()
                         : round % 3 == 1 ? data_command()
                                          : list_command())
                            .encode();
    for (auto changes = 1 + random() % 3; changes > 0; --changes)
      bytes[1 + random() % (std::min<size_t>(bytes.size(), 400) - 1)] = char(random());
    std::optional<Command> c = Command::decode(bytes);
    if (!c) {
      ++refused;
    } else {
      ASSERT_EQ(c->encode(), bytes);
    }
  }
  EXPECT_GT(refused, 0u);
}

struct NameCase {
  std::string name;
  bool valid;
};

TEST(ChannelName, IsPrintableUtf8OfUpTo255Bytes) {
  const NameCase cases[] = {
      {"room1", true},
      {"a b, c/d", true},
      {"ütf-8 ✓ 😀", true},
      {std::string(255, 'x'), true},
      {"", false},
      {std::string(256, 'x'), false},
      {"a\nb", false},
      {std::string("a\0b", 3), false},
      {"\x7f", false},
      {"\xc2\x85", false},  // U+0085, a C1 control
      {"\xc2\x9f", false},  // the last of them
      {"\xc2\xa0", true},   // U+00A0 is none
      {"\xc3\x85", true},   // the same second byte in another character
      {"\xff", false},
      {"\xc3", false},
      {"\xed\xa0\x80", false},  // a surrogate
  };
  for (const NameCase& c : cases) EXPECT_EQ(valid_channel(c.name), c.valid) << c.name;
}

TEST(UserName, IsPrintableUtf8OfUpTo64Bytes) {
  EXPECT_TRUE(valid_user(std::string(64, 'u')));
  EXPECT_FALSE(valid_user(std::string(65, 'u')));
  EXPECT_FALSE(valid_user(""));
  EXPECT_FALSE(valid_user("a\tb"));
}

}  // namespace
}  // namespace holdfast
