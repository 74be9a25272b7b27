#include "tests/harness/crowd_wire.h"

#include <strings.h>

#include <charconv>

#include "base/bytes.h"

namespace holdfast::test {
namespace {

constexpr size_t kMostBytes = 64 * 1024 * 1024;  // nothing in a test is longer: a bad length

bool number_of(std::string_view text, long* n) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *n);
  return error == std::errc{} && end == text.data() + text.size();
}

}  // namespace

Cut cut_frame(std::string_view in, WsPiece* piece, size_t* used) {
  if (in.size() < 2) return Cut::more;
  auto first = uint8_t(in[0]), second = uint8_t(in[1]);
  if ((first & 0x70) != 0 || (second & 0x80) != 0) return Cut::bad;
  size_t head = second < 126 ? 2 : second == 126 ? 4 : 10;
  if (in.size() < head) return Cut::more;
  uint64_t size = second;
  if (second == 126) size = load_be16(in.data() + 2);
  if (second == 127) size = load_be64(in.data() + 2);
  if (size > kMostBytes) return Cut::bad;
  if (in.size() < head + size) return Cut::more;
  *piece = {uint8_t(first & 0x0f), (first & 0x80) != 0, in.substr(head, size_t(size))};
  *used = head + size_t(size);
  return Cut::whole;
}

std::string client_frame(uint8_t opcode, bool last, std::string_view payload, uint32_t mask) {
  std::string frame(1, char((last ? 0x80 : 0) | opcode));
  char length[8];
  if (payload.size() < 126) {
    frame += char(0x80 | payload.size());
  } else if (payload.size() < 65536) {
    store_be16(length, uint16_t(payload.size()));
    (frame += char(0x80 | 126)).append(length, 2);
  } else {
    store_be64(length, payload.size());
    (frame += char(0x80 | 127)).append(length, 8);
  }
  char key[4];
  store_be32(key, mask);
  frame.append(key, 4);
  size_t start = frame.size();
  frame.append(payload);
  for (size_t i = 0; i < payload.size(); ++i)
    frame[start + i] = char(frame[start + i] ^ key[i % 4]);
  return frame;
}

std::string handshake_request(const std::string& target) {
  return "GET " + target +
         " HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
         "Sec-WebSocket-Key: " +
         kWsKey + "\r\nSec-WebSocket-Version: 13\r\n\r\n";
}

std::string_view HttpPiece::header(std::string_view name) const {
  for (size_t line = head.find("\r\n"); line != std::string_view::npos;
       line = head.find("\r\n", line + 2)) {
    std::string_view text = head.substr(line + 2);
    if (text.size() <= name.size() || text[name.size()] != ':' ||
        strncasecmp(text.data(), name.data(), name.size()) != 0)
      continue;
    text = text.substr(name.size() + 1, text.find("\r\n") - name.size() - 1);
    while (text.starts_with(' ')) text.remove_prefix(1);
    return text;
  }
  return {};
}

Cut cut_http(std::string_view in, HttpPiece* piece, size_t* used) {
  static constexpr std::string_view kStart = "HTTP/1.1 ";
  if (in.substr(0, kStart.size()) != kStart.substr(0, in.size())) return Cut::bad;
  size_t end = in.find("\r\n\r\n");
  if (end == std::string_view::npos) return in.size() > 65536 ? Cut::bad : Cut::more;
  long status = 0, length = 0;
  if (!number_of(in.substr(kStart.size(), 3), &status)) return Cut::bad;
  HttpPiece found{int(status), in.substr(0, end + 2), {}};
  std::string_view given = found.header("content-length");
  if (!given.empty() && (!number_of(given, &length) || length < 0 || size_t(length) > kMostBytes))
    return Cut::bad;
  if (in.size() < end + 4 + size_t(length)) return Cut::more;
  found.body = in.substr(end + 4, size_t(length));
  *piece = found;
  *used = end + 4 + size_t(length);
  return Cut::whole;
}

std::string http_request(std::string_view method, std::string_view target, std::string_view body) {
  std::string text;
  text.append(method).append(" ").append(target).append(" HTTP/1.1\r\nHost: localhost\r\n");
  if (method == "POST") text += "Content-Length: " + std::to_string(body.size()) + "\r\n";
  return text.append("\r\n").append(body);
}

namespace {

Cut cut_elements(std::string_view in, long count, size_t at, RespPiece* piece, size_t* used) {
  for (long i = 0; i < count; ++i) {
    RespPiece element;
    size_t bytes = 0;
    Cut cut = cut_resp(in.substr(at), &element, &bytes);
    if (cut != Cut::whole) return cut;
    piece->elements.push_back(std::move(element));
    at += bytes;
  }
  *used = at;
  return Cut::whole;
}

}  // namespace

Cut cut_resp(std::string_view in, RespPiece* piece, size_t* used) {
  if (in.empty()) return Cut::more;
  if (std::string_view("+-:$*").find(in[0]) == std::string_view::npos) return Cut::bad;
  size_t end = in.find("\r\n");
  if (end == std::string_view::npos) return in.size() > 65536 ? Cut::bad : Cut::more;
  *piece = {in[0], in.substr(1, end - 1), {}};
  *used = end + 2;
  if (in[0] != '$' && in[0] != '*') return Cut::whole;
  long n = 0;
  if (!number_of(piece->text, &n) || n < -1 || n > long(kMostBytes)) return Cut::bad;
  if (in[0] == '*') return cut_elements(in, n, end + 2, piece, used);
  if (n == -1) return Cut::whole;
  if (in.size() < end + 4 + size_t(n)) return Cut::more;
  if (in.substr(end + 2 + size_t(n), 2) != "\r\n") return Cut::bad;
  piece->text = in.substr(end + 2, size_t(n));
  *used = end + 4 + size_t(n);
  return Cut::whole;
}

std::string resp_request(const std::vector<std::string_view>& words) {
  std::string text = "*" + std::to_string(words.size()) + "\r\n";
  for (std::string_view word : words)
    text.append("$").append(std::to_string(word.size())).append("\r\n").append(word).append("\r\n");
  return text;
}

Cut cut_length(std::string_view in, std::string_view* message, size_t* used) {
  if (in.size() < 4) return Cut::more;
  size_t size = load_be32(in.data());
  if (size > kMostBytes) return Cut::bad;
  if (in.size() < 4 + size) return Cut::more;
  *message = in.substr(4, size);
  *used = 4 + size;
  return Cut::whole;
}

std::string length_frame(std::string_view message) {
  char length[4];
  store_be32(length, uint32_t(message.size()));
  return std::string(length, 4).append(message);
}

}  // namespace holdfast::test
