// The bytes holdfast-bench writes and reads: WebSocket from the client's side, answers of the API.
#include <gtest/gtest.h>

#include "bench/load/api_client.h"
#include "bench/load/ws_client.h"

namespace holdfast::bench {
namespace {

// RFC 6455, 1.3.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";

TEST(WsClient, AcceptValueIsThatOfTheStandard) {
  EXPECT_EQ(accept_value(kKey), kAccept);
}

TEST(WsClient, KeyIsSixteenBytesOfBase64) {
  EXPECT_EQ(make_key(1, 2).size(), 24u);
  EXPECT_NE(make_key(1, 2), make_key(2, 1));
}

std::string answer(std::string_view accept) {
  return "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nsec-websocket-accept: " +
         std::string(accept) + "\r\nHoldfast-Session: abc\r\n\r\n";
}

TEST(WsClient, HandshakeIsAcceptedWithTheRightAnswerOnly) {
  std::string bytes = answer(kAccept) + "\x81";
  HandshakeAnswer right = read_handshake(bytes, kKey);
  EXPECT_EQ(right.state, HandshakeState::accepted);
  EXPECT_EQ(right.session, "abc");
  EXPECT_EQ(right.head_bytes, answer(kAccept).size());
  EXPECT_EQ(read_handshake(answer("x"), kKey).state, HandshakeState::refused);
  HandshakeAnswer busy = read_handshake("HTTP/1.1 503 Busy\r\n\r\n", kKey);
  EXPECT_EQ(busy.state, HandshakeState::refused);
  EXPECT_EQ(busy.status, 503);
}

TEST(WsClient, HandshakeWaitsForItsLastByte) {
  std::string text = answer(kAccept);
  for (size_t n = 0; n < text.size(); ++n)
    EXPECT_EQ(read_handshake(text.substr(0, n), kKey).state, HandshakeState::need_more) << n;
  EXPECT_EQ(read_handshake(std::string(kMaxHeadBytes + 1, 'x'), kKey).state,
            HandshakeState::refused);
}

// A masked frame of ours, unmasked again and with the mask bit cleared, is a frame a server may
// send.
std::string as_server_frame(std::string frame, size_t head) {
  frame[1] = char(frame[1] & 0x7f);
  for (size_t i = head + 4; i < frame.size(); ++i)
    frame[i] = char(frame[i] ^ frame[head + (i - head) % 4]);
  return frame.erase(head, 4);
}

TEST(WsClient, FramesOfEveryLengthFormComeBack) {
  for (auto [bytes, head] :
       {std::pair<size_t, size_t>{0, 2}, {125, 2}, {126, 4}, {65'535, 4}, {65'536, 10}}) {
    std::string frame;
    std::string payload(bytes, 'p');
    append_frame(frame, Opcode::binary, payload, 0x01020304);
    ASSERT_EQ(frame.size(), head + 4 + bytes);
    EXPECT_NE(uint8_t(frame[1]) & 0x80, 0) << "clients mask";
    if (bytes > 0) {
      EXPECT_NE(frame.substr(head + 4), payload);
    }
    std::string back = as_server_frame(frame, head);
    std::string stream = back + "more";
    Frame read = read_frame(stream);
    EXPECT_EQ(read.state, FrameState::whole);
    EXPECT_EQ(read.opcode, Opcode::binary);
    EXPECT_EQ(read.payload, payload);
    EXPECT_EQ(read.frame_bytes, head + bytes);
    EXPECT_EQ(read_frame(std::string_view(back).substr(0, back.size() - 1)).state,
              FrameState::need_more);
  }
}

TEST(WsClient, FramesNoServerMaySendAreBroken) {
  for (std::string_view bytes : {std::string_view("\x81\x80", 2),   // masked
                                 std::string_view("\x01\x00", 2),   // not final
                                 std::string_view("\xc1\x00", 2),   // reserved bit
                                 std::string_view("\x83\x00", 2)})  // unknown opcode
    EXPECT_EQ(read_frame(bytes).state, FrameState::broken);
  std::string huge("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
  EXPECT_EQ(read_frame(huge).state, FrameState::broken);
}

TEST(ApiAnswer, PipelinedAnswersAreTakenOneByOne) {
  std::string one = "HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{\"delivered\":7}";
  ApiAnswer answer;
  for (size_t n = 0; n < one.size(); ++n)
    EXPECT_EQ(read_http_answer(std::string_view(one).substr(0, n), &answer), 0u) << n;
  EXPECT_EQ(read_http_answer(one + one, &answer), one.size());
  EXPECT_TRUE(answer.readable);
  EXPECT_EQ(answer.delivered, 7u);
  EXPECT_TRUE(answer.whole);
}

ApiAnswer judged(int status, const std::string& body) {
  ApiAnswer answer;
  read_http_answer("HTTP/1.1 " + std::to_string(status) +
                       " X\r\ncontent-length: " + std::to_string(body.size()) + "\r\n\r\n" + body,
                   &answer);
  return answer;
}

TEST(ApiAnswer, WhatIsLeftOutIsAFailure) {
  EXPECT_TRUE(judged(200, R"({"delivered":1,"unknown":[]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":0,"unknown":["ab"]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"failed":["ab"]})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"workers_failed":1})").whole);
  EXPECT_FALSE(judged(200, R"({"delivered":1,"partial":true})").whole);
  EXPECT_FALSE(judged(503, R"({"error":{}})").whole);
}

TEST(ApiAnswer, WhatIsNotHttpIsNotReadable) {
  ApiAnswer answer;
  EXPECT_GT(read_http_answer("SSH-2.0-OpenSSH\r\n\r\n", &answer), 0u);
  EXPECT_FALSE(answer.readable);
  EXPECT_GT(read_http_answer("HTTP/1.1 200 OK\r\n\r\n", &answer), 0u);
  EXPECT_FALSE(answer.readable) << "without a length";
}

}  // namespace
}  // namespace holdfast::bench
