#include "bench/load/resp.h"

#include <fmt/format.h>

#include <charconv>
#include <iterator>

namespace holdfast::bench {
namespace {

constexpr size_t kMaxLineBytes = 16 * 1024;

enum class Taken : uint8_t { whole, need_more, broken };

// Takes `expected` off the front.
Taken take(std::string_view& bytes, std::string_view expected) {
  size_t n = std::min(bytes.size(), expected.size());
  if (bytes.substr(0, n) != expected.substr(0, n)) return Taken::broken;
  if (n < expected.size()) return Taken::need_more;
  bytes.remove_prefix(n);
  return Taken::whole;
}

// Takes "NUMBER\r\n", 0 to kMaxFrameBytes.
Taken take_length(std::string_view& bytes, size_t* length) {
  size_t end = bytes.substr(0, 32).find("\r\n");
  if (end == std::string_view::npos) return bytes.size() >= 32 ? Taken::broken : Taken::need_more;
  auto [stop, error] = std::from_chars(bytes.data(), bytes.data() + end, *length);
  if (error != std::errc{} || stop != bytes.data() + end || end == 0 || *length > kMaxFrameBytes)
    return Taken::broken;
  bytes.remove_prefix(end + 2);
  return Taken::whole;
}

// Takes "$LENGTH\r\nTEXT\r\n".
Taken take_bulk(std::string_view& bytes, std::string_view* text) {
  size_t length = 0;
  Taken taken = take(bytes, "$");
  if (taken == Taken::whole) taken = take_length(bytes, &length);
  if (taken != Taken::whole) return taken;
  if (bytes.size() < length) return Taken::need_more;
  *text = bytes.substr(0, length);
  bytes.remove_prefix(length);
  return take(bytes, "\r\n");
}

}  // namespace

void append_command(std::string& out, std::initializer_list<std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (std::string_view word : words)
    fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
}

std::string subscribe_request(std::string_view token, std::string_view channel) {
  std::string out;
  if (!token.empty()) append_command(out, {"AUTH", token});
  append_command(out, {"SUBSCRIBE", channel});
  return out;
}

HandshakeAnswer read_subscribed(std::string_view bytes, bool with_auth) {
  HandshakeAnswer answer;
  std::string_view rest = bytes, channel;
  Taken taken = with_auth ? take(rest, "+OK\r\n") : Taken::whole;
  if (taken == Taken::whole) taken = take(rest, "*3\r\n$9\r\nsubscribe\r\n");
  if (taken == Taken::whole) taken = take_bulk(rest, &channel);
  if (taken == Taken::whole) taken = take(rest, ":1\r\n");
  if (taken == Taken::broken) answer.state = HandshakeState::refused;
  if (taken != Taken::whole) return answer;
  answer.state = HandshakeState::accepted;
  answer.head_bytes = bytes.size() - rest.size();
  return answer;
}

Frame read_push(std::string_view bytes) {
  Frame frame;
  std::string_view rest = bytes, channel;
  Taken taken;
  if (bytes.starts_with('+')) {
    frame.opcode = Opcode::close;
    taken = take(rest, "+OK\r\n");
  } else {
    taken = take(rest, "*3\r\n$7\r\nmessage\r\n");
    if (taken == Taken::whole) taken = take_bulk(rest, &channel);
    if (taken == Taken::whole) taken = take_bulk(rest, &frame.payload);
  }
  if (taken == Taken::broken) frame.state = FrameState::broken;
  if (taken != Taken::whole) return frame;
  frame.state = FrameState::whole;
  frame.frame_bytes = bytes.size() - rest.size();
  return frame;
}

Reply read_reply(std::string_view bytes) {
  Reply reply;
  if (bytes.empty()) return reply;
  size_t end = bytes.substr(0, kMaxLineBytes).find("\r\n");
  char kind = bytes[0];
  reply.broken = (kind != '+' && kind != '-' && kind != ':') ||
                 (end == std::string_view::npos && bytes.size() >= kMaxLineBytes);
  if (end == std::string_view::npos || reply.broken) return reply;
  reply.bytes = end + 2;
  reply.error = kind == '-';
  reply.text = bytes.substr(1, end - 1);
  if (kind != ':') return reply;
  auto [stop, error] = std::from_chars(bytes.data() + 1, bytes.data() + end, reply.number);
  reply.broken = error != std::errc{} || stop != bytes.data() + end;
  return reply;
}

}  // namespace holdfast::bench
