// WebSocket from the client's side.
#include "wire/ws/client.h"

#include <gtest/gtest.h>

#include "tests/unit/wire/ws/client_frames.h"
#include "wire/http/request.h"
#include "wire/http/response_head.h"
#include "wire/ws/handshake.h"

namespace holdfast::ws {
namespace {

// RFC 6455, 1.3.
constexpr std::string_view kKey = "dGhlIHNhbXBsZSBub25jZQ==";
constexpr std::string_view kAccept = "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=";
constexpr size_t kMaxPayload = 1 << 20;

TEST(WsClient, AcceptValueIsThatOfTheStandard) {
  EXPECT_EQ(accept_value(kKey), kAccept);
}

TEST(WsClient, HandshakeIsOneThatTheServerTakes) {
  std::string bytes = handshake_request("h", "/ws?channel=a", make_key(1, 2));
  http::RequestReader reader({});
  size_t consumed = 0;
  ASSERT_EQ(reader.feed(bytes, &consumed), http::RequestReader::Status::complete);
  EXPECT_EQ(consumed, bytes.size());
  EXPECT_EQ(reader.request().target, "/ws?channel=a");
  EXPECT_EQ(judge(reader.request(), {}).status, 101);
}

TEST(WsClient, AnswerOfTheServerIsAccepted) {
  std::string head = accept_head(kKey, "Holdfast-Session: abc\r\n");
  EXPECT_EQ(read_handshake(head + "\x81", kKey).state, HandshakeState::accepted);
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
  EXPECT_EQ(http::header_of(right.head, "holdfast-session"), "abc");
  EXPECT_EQ(right.head, answer(kAccept));
  EXPECT_EQ(read_handshake(answer("x"), kKey).state, HandshakeState::refused);
  HandshakeAnswer busy = read_handshake("HTTP/1.1 503 Busy\r\n\r\n", kKey);
  EXPECT_EQ(busy.state, HandshakeState::refused);
  EXPECT_EQ(busy.status, 503);
  HandshakeAnswer other = read_handshake("SSH-2.0-x\r\n\r\n", kKey);
  EXPECT_EQ(other.state, HandshakeState::refused);
  EXPECT_EQ(other.status, 0);
}

TEST(WsClient, HandshakeWaitsForItsLastByte) {
  std::string text = answer(kAccept);
  for (size_t n = 0; n < text.size(); ++n)
    EXPECT_EQ(read_handshake(text.substr(0, n), kKey).state, HandshakeState::need_more) << n;
  EXPECT_EQ(read_handshake(std::string(kMaxAnswerHead + 1, 'x'), kKey).state,
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
    append_client_frame(frame, Opcode::binary, payload, 0x01020304);
    ASSERT_EQ(frame.size(), head + 4 + bytes);
    EXPECT_NE(uint8_t(frame[1]) & 0x80, 0) << "clients mask";
    if (bytes > 0) {
      EXPECT_NE(frame.substr(head + 4), payload);
    }
    std::string back = as_server_frame(frame, head);
    std::string stream = back + "more";
    Frame read = read_server_frame(stream, kMaxPayload);
    EXPECT_EQ(read.state, FrameState::whole);
    EXPECT_EQ(read.opcode, Opcode::binary);
    EXPECT_EQ(read.payload, payload);
    EXPECT_EQ(read.frame_bytes, head + bytes);
    EXPECT_EQ(
        read_server_frame(std::string_view(back).substr(0, back.size() - 1), kMaxPayload).state,
        FrameState::need_more);
  }
}

TEST(WsClient, FramesNoServerMaySendAreBroken) {
  for (std::string_view bytes : {std::string_view("\x81\x80", 2),   // masked
                                 std::string_view("\x01\x00", 2),   // not final
                                 std::string_view("\xc1\x00", 2),   // reserved bit
                                 std::string_view("\x83\x00", 2)})  // unknown opcode
    EXPECT_EQ(read_server_frame(bytes, kMaxPayload).state, FrameState::broken);
  std::string huge("\x82\x7f\x7f\xff\xff\xff\xff\xff\xff\xff", 10);
  EXPECT_EQ(read_server_frame(huge, kMaxPayload).state, FrameState::broken);
}

TEST(WsClient, FrameLongerThanItsBoundIsBrokenAtItsHead) {
  std::string most = std::string("\x82\x0a", 2) + std::string(10, 'x');
  EXPECT_EQ(read_server_frame(most, 10).state, FrameState::whole);
  EXPECT_EQ(read_server_frame(most.substr(0, 2), 9).state, FrameState::broken);
}

// A masked frame of ours is what a server's decoder reads.
TEST(WsClient, FramesAreReadByTheServer) {
  std::string frames;
  append_client_frame(frames, Opcode::text, "hi", 0x01020304);
  append_client_frame(frames, Opcode::ping, "", 5);
  append_client_frame(frames, Opcode::close, std::string_view("\x03\xe8", 2), 6);
  test::expect_decoded(frames, {"text hi", "ping ", "close 1000 "});
}

}  // namespace
}  // namespace holdfast::ws
