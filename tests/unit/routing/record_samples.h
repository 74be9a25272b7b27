// tests/unit/routing/record_samples.h - commands and replies, and their bytes as the encoder of commit 64a7ea7 printed them.
#pragma once

#include <gtest/gtest.h>

#include <string>
#include <string_view>
#include <vector>

#include "worker/routing/command.h"

namespace holdfast {

using shm::SessionId;

inline const SessionId kA{0x0007000000000001, 0xaaaaaaaaaaaaaaaa};
inline const SessionId kB{0x0007000000000102, 0xbbbbbbbbbbbbbbbb};

inline std::string unhex(std::string_view hex) {
  std::string bytes;
  for (size_t i = 0; i + 1 < hex.size(); i += 2)
    bytes += char(std::stoi(std::string(hex.substr(i, 2)), nullptr, 16));
  return bytes;
}

struct Golden {
  Command command;
  const char* hex;
};

// clang-format off
inline const std::vector<Golden>& golden_commands() {
  static const std::vector<Golden> all = {
    {{.op = Op::send, .sessions = {kA, kB}, .data = "hi"},
     "01000000020000000100000000000700aaaaaaaaaaaaaaaa0201000000000700bbbbbbbbbbbbbbbb00000000000000000000000002000000686900000000"},
    {{.op = Op::send, .binary = true, .sessions = {kA}, .data = std::string("\0\xff", 2)},
     "01010000010000000100000000000700aaaaaaaaaaaaaaaa0000000000000000000000000200000000ff00000000"},
    {{.op = Op::send_user, .exclude = {kB}, .users = {"ann", "bob"}, .data = "hi"},
     "0200000000000000010000000201000000000700bbbbbbbbbbbbbbbb000000000200000003000000616e6e03000000626f6202000000686900000000"},
    {{.op = Op::send_all, .exclude = {kA}, .data = "hi"},
     "0300000000000000010000000100000000000700aaaaaaaaaaaaaaaa000000000000000002000000686900000000"},
    {{.op = Op::publish, .exclude = {kA}, .channels = {"news", "room"}, .data = "hi"},
     "0400000000000000010000000100000000000700aaaaaaaaaaaaaaaa02000000040000006e65777304000000726f6f6d0000000002000000686900000000"},
    {{.op = Op::join, .sessions = {kA}, .exclude = {kB}, .channels = {"room"}, .users = {"ann"}},
     "05000000010000000100000000000700aaaaaaaaaaaaaaaa010000000201000000000700bbbbbbbbbbbbbbbb0100000004000000726f6f6d0100000003000000616e6e0000000000000000"},
    {{.op = Op::leave, .sessions = {kA}, .channels = {"room"}},
     "06000000010000000100000000000700aaaaaaaaaaaaaaaa000000000100000004000000726f6f6d000000000000000000000000"},
    {{.op = Op::bind, .sessions = {kA}, .users = {"ann"}},
     "07000000010000000100000000000700aaaaaaaaaaaaaaaa00000000000000000100000003000000616e6e0000000000000000"},
    {{.op = Op::unbind, .sessions = {kA}},
     "08000000010000000100000000000700aaaaaaaaaaaaaaaa0000000000000000000000000000000000000000"},
    {{.op = Op::kick, .code = 4001, .sessions = {kA}, .exclude = {kB}, .channels = {"room"}, .users = {"ann"}, .reason = "bye"},
     "0900a10f010000000100000000000700aaaaaaaaaaaaaaaa010000000201000000000700bbbbbbbbbbbbbbbb0100000004000000726f6f6d0100000003000000616e6e0000000003000000627965"},
    {{.op = Op::data, .merge = true, .sessions = {kA}, .pairs = {{"theme", "dark"}, {"gone", ""}}},
     "0a020000010000000100000000000700aaaaaaaaaaaaaaaa000000000000000000000000000000000000000002000000050000007468656d65040000006461726b04000000676f6e6500000000"},
    {{.op = Op::get_session, .sessions = {kA}},
     "0b000000010000000100000000000700aaaaaaaaaaaaaaaa0000000000000000000000000000000000000000"},
    {{.op = Op::list_members, .channels = {"room"}, .page = {.limit = 7, .position = 0x0000000100000002}},
     "0c00000000000000000000000100000004000000726f6f6d0000000000000000000000000700000002000000010000000000000000000000"},
    {{.op = Op::list_channels, .page = {.limit = 7, .prefix = "ro", .after = "room"}},
     "0d00000000000000000000000000000000000000000000000000000007000000000000000000000002000000726f04000000726f6f6d"},
    {{.op = Op::list_users, .page = {.limit = 7, .prefix = "a", .after = "ann"}},
     "0e000000000000000000000000000000000000000000000000000000070000000000000000000000010000006103000000616e6e"},
  };
  return all;
}

inline const char* const kReply =
    "2a000000000000000107030000000000000001000000000000000500000000000000020000000000000001040000006e657773040000000000000001000000000000000900000000000000"
    "0202000000010000000201000000000700bbbbbbbbbbbbbbbb03000000616e6e050100000000000700aaaaaaaaaaaaaaaa0304000000726f6f6d04050000007468656d65040000006461726b";
inline const char* const kReplyPieces[] = {
    "2a000000000000000000000000000000000000000000000000000000000000000000000000000000000001040000006e657773040000000000000001000000000000000900000000000000",
    "2a00000000000000000000000000000000000000000000000000000000000000000000000000000000000202000000010000000201000000000700bbbbbbbbbbbbbbbb03000000616e6e050100000000000700aaaaaaaaaaaaaaaa0304000000726f6f6d",
    "2a000000000000000107030000000000000001000000000000000500000000000000020000000000000004050000007468656d65040000006461726b"};
inline const char* const kReplyOfNumbers =
    "070000000000000001000200000000000000000000000000000000000000000000000000000000000000";
// clang-format on

inline CommandResult golden_result() {
  CommandResult result;
  result.delivered = 3;
  result.refused = 1;
  result.members = 5;
  result.subscribers = 2;
  result.partial = result.more = true;
  result.unknown = {kA};
  result.names = {{"news", 4, 1, 9}};
  result.listed = {{0x0000000100000002, kB, "ann"}};
  result.session = SessionDetail{{"room"}, {{"theme", "dark"}}};
  return result;
}

inline void expect_same(const Command& a, const Command& b) {
  EXPECT_EQ(a.op, b.op);
  EXPECT_EQ(a.binary, b.binary);
  EXPECT_EQ(a.merge, b.merge);
  EXPECT_EQ(a.sharded, b.sharded);
  EXPECT_EQ(a.code, b.code);
  EXPECT_EQ(a.sessions, b.sessions);
  EXPECT_EQ(a.exclude, b.exclude);
  EXPECT_EQ(a.channels, b.channels);
  EXPECT_EQ(a.users, b.users);
  EXPECT_EQ(a.pairs, b.pairs);
  EXPECT_EQ(a.data, b.data);
  EXPECT_EQ(a.reason, b.reason);
  EXPECT_EQ(a.page.limit, b.page.limit);
  EXPECT_EQ(a.page.position, b.page.position);
  EXPECT_EQ(a.page.prefix, b.page.prefix);
  EXPECT_EQ(a.page.after, b.page.after);
}

inline void expect_golden(const CommandResult& result) {
  CommandResult golden = golden_result();
  EXPECT_EQ(result.delivered, golden.delivered);
  EXPECT_EQ(result.refused, golden.refused);
  EXPECT_EQ(result.members, golden.members);
  EXPECT_EQ(result.subscribers, golden.subscribers);
  EXPECT_EQ(result.partial, golden.partial);
  EXPECT_EQ(result.more, golden.more);
  EXPECT_EQ(result.unknown, golden.unknown);
  EXPECT_EQ(result.names, golden.names);
  ASSERT_EQ(result.listed.size(), 1u);
  EXPECT_EQ(result.listed[0].position, golden.listed[0].position);
  EXPECT_EQ(result.listed[0].id, kB);
  EXPECT_EQ(result.listed[0].user, "ann");
  ASSERT_TRUE(result.session);
  EXPECT_EQ(result.session->channels, golden.session->channels);
  EXPECT_EQ(result.session->data, golden.session->data);
}

}  // namespace holdfast
