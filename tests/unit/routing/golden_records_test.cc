// Records between workers byte for byte as commit 64a7ea7 writes them: a binary of it may be at the other end.
#include <gtest/gtest.h>

#include "tests/unit/routing/record_samples.h"
#include "worker/routing/command_record.h"
#include "worker/routing/result_record.h"

namespace holdfast {
namespace {

// ---- commands

TEST(GoldenRecord, OfEveryOperationOf64a7ea7IsWrittenAsItWritesIt) {
  size_t ops = 0;
  for (const Golden& golden : golden_commands()) {
    EXPECT_EQ(golden.command.encode(), unhex(golden.hex)) << int(golden.command.op);
    ops |= size_t{1} << int(golden.command.op);
  }
  EXPECT_EQ(ops, 0x7ffeu) << "all of 1 to 14";
}

TEST(GoldenRecord, OfEveryOperationOf64a7ea7IsRead) {
  for (const Golden& golden : golden_commands()) {
    SCOPED_TRACE(int(golden.command.op));
    std::optional<Command> read = Command::decode(unhex(golden.hex));
    ASSERT_TRUE(read);
    expect_same(*read, golden.command);
  }
}

// Its process carries it out as a publish, so the sessions there get it.
TEST(GoldenRecord, OfAShardedPublishIsAPublishTo64a7ea7) {
  Command command{.op = Op::publish, .sharded = true, .channels = {"a", "\1a"}, .data = "s"};
  std::string bytes = command.encode();
  EXPECT_EQ(bytes.size(), command.encoded_bytes());
  std::optional<Command> read = Command::decode(bytes);
  ASSERT_TRUE(read);
  expect_same(*read, command);
  command.sharded = false;
  std::string plain = command.encode();
  EXPECT_EQ(bytes.substr(4), plain.substr(4)) << "another word, which is the code of a kick";
  EXPECT_EQ(bytes.substr(0, 2), plain.substr(0, 2));
}

// Its process looks for channels with that letter before their names, and has none.
TEST(GoldenRecord, OfNamesOfAnotherKindAsks64a7ea7ForChannelsThatItDoesNotHave) {
  for (const char* letter : {"\1", "\2"}) {
    Command command{.op = Op::list_channels,
                    .channels = {letter},
                    .page = {.limit = 7, .prefix = "ro", .after = "room"}};
    std::string bytes = command.encode();
    EXPECT_EQ(bytes.size(), command.encoded_bytes());
    std::optional<Command> read = Command::decode(bytes);
    ASSERT_TRUE(read);
    expect_same(*read, command);
    Command seen{.op = Op::list_channels,
                 .page = {.limit = 7,
                          .prefix = std::string(letter) + "ro",
                          .after = std::string(letter) + "room"}};
    EXPECT_EQ(bytes.substr(4), seen.encode().substr(4));
    command.page.prefix = command.page.after = "";
    read = Command::decode(command.encode());
    ASSERT_TRUE(read);
    expect_same(*read, command);
    EXPECT_EQ(command.encode().size(), command.encoded_bytes());
  }
}

TEST(GoldenRecord, WithAWordThatNobodyWritesIsRefused) {
  Command publish{.op = Op::publish, .channels = {"a"}, .data = "s"};
  Command list{.op = Op::list_channels, .page = {.prefix = "ro"}};
  for (const Command& command : {publish, list}) {
    std::string bytes = command.encode();
    for (const char* word : {"\2", "\3", "\xff"}) {
      bytes[2] = *word;
      EXPECT_FALSE(Command::decode(bytes)) << int(command.op) << " " << int(*word);
    }
  }
}

// ---- what two requests have in common

TEST(ComparableCommand, IsFor64a7ea7sOperationsWhatItTakesItsFingerprintsOf) {
  for (const Golden& golden : golden_commands())
    EXPECT_EQ(comparable(golden.command), unhex(golden.hex)) << int(golden.command.op);
}

// ---- replies

TEST(GoldenRecord, OfAReplyIsWrittenAs64a7ea7WritesIt) {
  EXPECT_EQ(result_records(42, golden_result(), 1000), std::vector{unhex(kReply)});
  std::vector<std::string> pieces;
  for (const char* piece : kReplyPieces) pieces.push_back(unhex(piece));
  EXPECT_EQ(result_records(42, golden_result(), 100), pieces);
  EXPECT_EQ(result_records(7, {.delivered = 2}, 1000), std::vector{unhex(kReplyOfNumbers)});
}

TEST(GoldenRecord, OfAReplyOf64a7ea7IsRead) {
  CommandResult whole, parts;
  bool last = false;
  ASSERT_TRUE(merge_record(unhex(kReply), whole, &last));
  EXPECT_TRUE(last);
  expect_golden(whole);
  for (const char* piece : kReplyPieces) {
    ASSERT_TRUE(merge_record(unhex(piece), parts, &last));
    EXPECT_EQ(last, piece == kReplyPieces[2]);
  }
  expect_golden(parts);
}

}  // namespace
}  // namespace holdfast
