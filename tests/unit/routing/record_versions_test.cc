// Records of version 1, of several versions beside each other, and of none that is known.
#include <gtest/gtest.h>

#include "base/bytes.h"
#include "base/fields.h"
#include "tests/unit/routing/record_samples.h"
#include "tests/unit/routing/router_fixture.h"
#include "worker/routing/command_record.h"
#include "worker/routing/records.h"
#include "worker/routing/result_record.h"

namespace holdfast {
namespace {

std::string versioned(const Command& command) {
  std::string bytes;
  encode_versioned(bytes, command, command.data);
  return bytes;
}

// One field as base/fields.h has it.
std::string field(uint16_t number, std::string_view value) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put(number);
  out.put_string(value);
  return bytes;
}

TEST(VersionedRecord, OfEveryOperationComesBack) {
  for (const Golden& golden : golden_commands()) {
    SCOPED_TRACE(int(golden.command.op));
    std::string bytes = versioned(golden.command);
    EXPECT_EQ(uint8_t(bytes[0]), 0x81);
    EXPECT_EQ(uint8_t(bytes[1]), uint8_t(golden.command.op));
    EXPECT_EQ(record_version(bytes), 1);
    std::optional<Command> read = Command::decode(bytes);
    ASSERT_TRUE(read);
    expect_same(*read, golden.command);
  }
}

// Written down once: what a later binary writes is what this one reads.
TEST(VersionedRecord, HasTheseBytes) {
  EXPECT_EQ(versioned({.op = Op::publish, .sharded = true, .channels = {"a"}, .data = "s"}),
            unhex("81040400"
                  "0000000000000000010000000100000061000000000100000073"));
  EXPECT_EQ(versioned({.op = Op::kick, .code = 4001, .sessions = {kA}, .reason = "bye"}),
            unhex("81090000"
                  "010002000000a10f"
                  "0200100000000100000000000700aaaaaaaaaaaaaaaa"
                  "070003000000627965"));
}

TEST(VersionedRecord, MayHaveFieldsAndFlagsThatAreNotKnown) {
  for (const Golden& golden : golden_commands()) {
    SCOPED_TRACE(int(golden.command.op));
    std::string bytes = versioned(golden.command);
    bytes[3] = '\x80';
    std::optional<Command> read = Command::decode(bytes + field(99, "later"));
    ASSERT_TRUE(read);
    expect_same(*read, golden.command);
  }
}

TEST(VersionedRecord, IsRefusedWithNeededPartsThatAreNotKnownOrCutShort) {
  for (const Golden& golden : golden_commands()) {
    SCOPED_TRACE(int(golden.command.op));
    std::string bytes = versioned(golden.command);
    EXPECT_FALSE(Command::decode(bytes + field(99 | handover::kNeeded, "later")));
    EXPECT_FALSE(Command::decode(bytes + "x"));
    std::string flag = bytes;
    flag[2] = '\x40';
    EXPECT_FALSE(Command::decode(flag));
    std::string version = bytes;
    version[0] = '\x82';
    EXPECT_FALSE(Command::decode(version));
    for (int op : {0, int(kLastOp) + 1, 255}) {
      std::string other = bytes;
      other[1] = char(op);
      EXPECT_FALSE(Command::decode(other)) << op;
    }
    for (size_t n = 0; n < 4; ++n) EXPECT_FALSE(Command::decode(bytes.substr(0, n))) << n;
    EXPECT_FALSE(Command::decode(bytes.substr(0, bytes.size() - 1)));
  }
}

// ---- replies

TEST(VersionedReply, ComesBackInAsManyPiecesAsItNeeds) {
  for (size_t most : {1000, 100}) {
    std::vector<std::string> records = result_records(42, golden_result(), most, 1);
    EXPECT_EQ(records.size() > 1, most == 100);
    CommandResult back;
    for (const std::string& record : records) {
      uint64_t token = 0;
      bool last = false;
      ASSERT_TRUE(read_record_token(record, &token));
      EXPECT_EQ(token, 42u);
      ASSERT_TRUE(merge_record(record, back, &last));
      EXPECT_EQ(last, &record == &records.back());
    }
    expect_golden(back);
  }
}

TEST(VersionedReply, PassesOverItemsAndTheirEndsThatAreNotKnown) {
  std::string record = result_records(42, {.delivered = 3}, 1000, 1)[0];
  ByteWriter out(record);
  out.put(uint8_t{77});
  out.put_string("later");
  std::string name;
  ByteWriter item(name);
  item.put_string("news");
  for (uint64_t number : {4, 1, 9}) item.put(number);
  name += "and more";
  out.put(uint8_t{1});
  out.put_string(name);
  CommandResult back;
  bool last = false;
  ASSERT_TRUE(merge_record(record, back, &last));
  EXPECT_EQ(back.delivered, 3u);
  EXPECT_EQ(back.names, (std::vector<NameCount>{{"news", 4, 1, 9}}));
}

TEST(VersionedReply, IsRefusedWithNeededPartsThatAreNotKnown) {
  const std::string record = result_records(42, {.delivered = 3}, 1000, 1)[0];
  std::string needed = record;
  ByteWriter out(needed);
  out.put(uint8_t{77 | kNeededItem});
  out.put_string("later");
  std::string flag = record, version = record;
  flag[10] = '\x40';
  version[8] = '\x82';
  for (const std::string& bytes : {needed, flag, version, record + "x", record.substr(0, 20)}) {
    CommandResult back;
    bool last = false;
    EXPECT_FALSE(merge_record(bytes, back, &last));
  }
}

// ---- through the rings

class RecordsOfVersions : public RouterTest {
 protected:
  void post(std::string_view command, uint64_t token = 0, RecordKind kind = RecordKind::command) {
    std::string body;
    ByteWriter(body).put(token);
    body += command;
    ASSERT_TRUE(there_.router.post().send(0, kind, body));
  }
};

TEST_F(RecordsOfVersions, BytesOf64a7ea7AreCarriedOut) {
  Session& near = here_.open_session();
  here_.hub.join(near, "news");
  Command publish = golden_commands()[4].command;
  publish.exclude.clear();
  post(publish.encode());
  EXPECT_TRUE(both_turn_until([&] { return lines_of(here_, 0) == "hi\n"; }));
  EXPECT_EQ(stats().push_bad_record.get(), 0u);
}

TEST_F(RecordsOfVersions, ThoseOfLaterBinariesAreCarriedOutWithWhatIsKnownOfThem) {
  Session& near = here_.open_session();
  post(versioned({.op = Op::send, .sessions = {near.id}, .data = "hi"}) + field(99, "later"));
  post(versioned({.op = Op::join, .sessions = {near.id}, .channels = {"room"}}) +
       field(99, "later"));
  EXPECT_TRUE(both_turn_until(
      [&] { return lines_of(here_, 0) == "hi\n" && here_.hub.find("room") != nullptr; }));
  EXPECT_EQ(stats().push_bad_record.get(), 0u);
}

TEST_F(RecordsOfVersions, UnknownOnesAreCountedAndNothingElseHappens) {
  Session& near = here_.open_session();
  std::string later = versioned({.op = Op::send, .sessions = {near.id}, .data = "hi"});
  later[1] = 15;  // an operation of a later binary
  post(later, 5);
  later[1] = char(Op::send);
  later[0] = '\x82';
  post(later, 5);
  post({}, 5, RecordKind(5));
  post({}, 5, RecordKind(kRecordKinds + 1'000'000));
  EXPECT_TRUE(both_turn_until([&] { return stats().push_bad_record.get() == 4; }));
  EXPECT_EQ(stats().push_received.get(), 4u);
  EXPECT_EQ(lines_of(here_, 0), "");
  EXPECT_EQ(here_.sessions.size(), 1u);
  EXPECT_EQ(stats().push_forwarded.get(), 0u) << "no reply either";
  post(versioned({.op = Op::send, .sessions = {near.id}, .data = "hi"}));
  EXPECT_TRUE(both_turn_until([&] { return lines_of(here_, 0) == "hi\n"; }));
}

// The asker reads the version that it has asked in.
TEST_F(RecordsOfVersions, AReplyHasTheVersionOfItsCommand) {
  std::vector<std::string> replies;
  there_.router.post().read_with(
      RecordKind::reply, [&](uint16_t, std::string_view body) { replies.emplace_back(body); });
  Command command{.op = Op::list_members, .channels = {"room"}, .page = {.limit = 7}};
  post(command.encode(), 8);
  post(versioned(command), 9);
  ASSERT_TRUE(both_turn_until([&] { return replies.size() == 2; }));
  EXPECT_EQ(replies,
            (std::vector{result_records(8, {}, 1000)[0], result_records(9, {}, 1000, 1)[0]}));
}

// So does one that is finished in a later turn.
TEST_F(RecordsOfVersions, ALateReplyHasTheVersionOfItsCommand) {
  std::vector<std::string> replies;
  there_.router.post().read_with(
      RecordKind::reply, [&](uint16_t, std::string_view body) { replies.emplace_back(body); });
  for (int i = 0; i < 40; ++i) here_.hub.join(here_.open_session(), "room");
  here_.router.carrier().slice(8);
  post(versioned(publish("room", "x")), 9);
  ASSERT_TRUE(both_turn_until([&] {
    here_.router.carry_on();
    return replies.size() == 1;
  }));
  EXPECT_EQ(replies[0], result_records(9, {.delivered = 40}, 1000, 1)[0]);
}

}  // namespace
}  // namespace holdfast
