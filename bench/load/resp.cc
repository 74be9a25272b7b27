#include "bench/load/resp.h"

#include <algorithm>
#include <charconv>
#include <span>

#include "wire/resp/reply_reader.h"
#include "wire/resp/request_writer.h"

namespace holdfast::bench {
namespace {

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

using Elements = std::span<const resp::ReplyElement>;

bool is_ok(Elements elements) {
  return elements.size() == 1 && elements[0].kind == resp::ReplyKind::status &&
         elements[0].text == "OK";
}

bool is_subscribed(Elements elements) {
  return elements.size() == 4 && elements[0].kind == resp::ReplyKind::array &&
         elements[1].text == "subscribe" && elements[2].kind == resp::ReplyKind::bulk &&
         elements[3].kind == resp::ReplyKind::integer && elements[3].number == 1;
}

}  // namespace

std::string subscribe_request(std::string_view token, std::string_view channel) {
  std::string out;
  if (!token.empty()) resp::append_request(out, {"AUTH", token});
  resp::append_request(out, {"SUBSCRIBE", channel});
  return out;
}

ws::HandshakeAnswer read_subscribed(std::string_view bytes, bool with_auth) {
  ws::HandshakeAnswer answer;
  std::string_view rest = bytes;
  resp::ReplyReader reader;
  for (bool auth : {true, false}) {
    if (auth && !with_auth) continue;
    auto status = reader.read(rest);
    if (status == resp::ReplyReader::Status::need_more) return answer;
    bool good = status == resp::ReplyReader::Status::complete &&
                (auth ? is_ok(reader.elements()) : is_subscribed(reader.elements()));
    if (!good) {
      answer.state = ws::HandshakeState::refused;
      return answer;
    }
    rest.remove_prefix(reader.used());
    reader.next();
  }
  answer.state = ws::HandshakeState::accepted;
  answer.head = bytes.substr(0, bytes.size() - rest.size());
  return answer;
}

ws::Frame read_push(std::string_view bytes) {
  ws::Frame frame;
  std::string_view rest = bytes, channel;
  Taken taken;
  if (bytes.starts_with('+')) {
    frame.opcode = ws::Opcode::close;
    taken = take(rest, "+OK\r\n");
  } else {
    taken = take(rest, "*3\r\n$7\r\nmessage\r\n");
    if (taken == Taken::whole) taken = take_bulk(rest, &channel);
    if (taken == Taken::whole) taken = take_bulk(rest, &frame.payload);
  }
  if (taken == Taken::broken) frame.state = ws::FrameState::broken;
  if (taken != Taken::whole) return frame;
  frame.state = ws::FrameState::whole;
  frame.frame_bytes = bytes.size() - rest.size();
  return frame;
}

}  // namespace holdfast::bench
