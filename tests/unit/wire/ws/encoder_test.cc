#include "wire/ws/encoder.h"

#include <gtest/gtest.h>

namespace holdfast::ws {
namespace {

TEST(Encoder, MakesTheExamplesOfRfc6455) {
  // Section 5.7, in the direction a server sends.
  EXPECT_EQ(encode(Opcode::text, "Hello"), "\x81\x05Hello");
  EXPECT_EQ(encode(Opcode::ping, "Hello"), "\x89\x05Hello");
  std::string payload(256, 'b');
  EXPECT_EQ(encode(Opcode::binary, payload), std::string("\x82\x7e\x01\x00", 4) + payload);
  payload.assign(65536, 'c');
  EXPECT_EQ(encode(Opcode::binary, payload),
            std::string("\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00", 10) + payload);
}

TEST(Encoder, UsesTheShortestForm) {
  struct Row {
    size_t payload, header;
  };
  for (Row row : {Row{0, 2}, {125, 2}, {126, 4}, {65535, 4}, {65536, 10}, {size_t(1) << 40, 10}}) {
    EXPECT_EQ(header_bytes(row.payload), row.header) << row.payload;
    char head[10];
    EXPECT_EQ(write_header(head, Opcode::text, row.payload), row.header) << row.payload;
    EXPECT_EQ(head[0], '\x81');
    EXPECT_EQ(head[1] & 0x80, 0) << "a server does not mask";
  }
}

TEST(Encoder, PutsCodeAndReasonIntoACloseFrame) {
  EXPECT_EQ(encode_close(1000, ""), "\x88\x02\x03\xe8");
  EXPECT_EQ(encode_close(4001, "bye"),
            "\x88\x05\x0f\xa1"
            "bye");
}

TEST(Encoder, ACodeThatMayNotBeSentGivesAnEmptyCloseFrame) {
  for (unsigned code : {0u, 999u, 1004u, 1005u, 1006u, 1015u, 2999u, 5000u})
    EXPECT_EQ(encode_close(uint16_t(code), "why"), std::string("\x88\x00", 2)) << code;
}

TEST(Encoder, CutsALongReasonBetweenCharacters) {
  EXPECT_EQ(encode_close(1000, std::string(123, 'x')).size(), 2u + 125);
  EXPECT_EQ(encode_close(1000, std::string(500, 'x')).size(), 2u + 125);
  std::string euros;
  for (int i = 0; i < 50; ++i) euros += "\xe2\x82\xac";  // 123 is 41 of them
  EXPECT_EQ(encode_close(1000, euros).substr(4), euros.substr(0, 123));
  EXPECT_EQ(encode_close(1000, "x" + euros).substr(4), "x" + euros.substr(0, 120));
  EXPECT_EQ(encode_close(1000, "xx" + euros).substr(4), "xx" + euros.substr(0, 120));
}

TEST(Encoder, EndsAReasonBeforeWhatIsNotUtf8) {
  EXPECT_EQ(encode_close(1000,
                         "ab\xff"
                         "cd")
                .substr(4),
            "ab");
  EXPECT_EQ(encode_close(1000, "\xff").substr(2), "\x03\xe8");
}

}  // namespace
}  // namespace holdfast::ws
