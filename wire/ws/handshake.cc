#include "wire/ws/handshake.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"
#include "wire/http/origin.h"

namespace holdfast::ws {
namespace {

constexpr std::string_view kGuid = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (c >= 'A' && c <= 'Z') c = char(c - 'A' + 'a');
  return out;
}

bool is_base64(char c) {
  return (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '+' ||
         c == '/';
}

// 16 bytes in base64 are 22 digits and two signs of padding.
bool is_key(std::string_view key) {
  return key.size() == 24 && key.ends_with("==") &&
         std::all_of(key.begin(), key.begin() + 22, is_base64);
}

size_t count(const http::Request& request, std::string_view name) {
  return size_t(std::count_if(request.headers.begin(), request.headers.end(),
                              [lowered = lower(name)](const http::Header& header) {
                                return lower(header.name) == lowered;
                              }));
}

}  // namespace

HandshakeVerdict judge(const http::Request& request, const std::vector<std::string>& origins) {
  if (request.method != "GET") return {405, "a WebSocket is opened with GET"};
  if (!request.header_has_token("Upgrade", "websocket"))
    return {426, "this address speaks WebSocket: no Upgrade to websocket in the request"};
  if (!request.version_11) return {400, "a WebSocket needs HTTP/1.1"};
  if (!request.header_has_token("Connection", "upgrade"))
    return {426, "no Connection: Upgrade in the request"};
  if (count(request, "Sec-WebSocket-Version") != 1 ||
      request.header("Sec-WebSocket-Version") != "13")
    return {426, "only WebSocket version 13 is spoken here"};
  if (count(request, "Host") != 1 || request.header("Host")->empty())
    return {400, "no Host in the request"};
  if (count(request, "Sec-WebSocket-Key") != 1 || !is_key(*request.header("Sec-WebSocket-Key")))
    return {400, "Sec-WebSocket-Key is not 16 bytes in base64"};
  size_t sent = count(request, "Origin");
  if (sent > 1) return {400, "more than one Origin"};
  // No Origin: not a browser, and whoever can choose headers is not stopped by this one.
  if (sent == 1 &&
      !http::origin_allowed(*request.header("Origin"), *request.header("Host"), origins))
    return {403, "this origin is not allowed"};
  return {};
}

std::string accept_value(std::string_view key) {
  std::string text(key);
  text += kGuid;
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned digest_bytes = 0;
  HF_CHECK(EVP_Digest(text.data(), text.size(), digest, &digest_bytes, EVP_sha1(), nullptr) == 1);
  unsigned char encoded[4 * (EVP_MAX_MD_SIZE / 3 + 1) + 1];
  int encoded_bytes = EVP_EncodeBlock(encoded, digest, int(digest_bytes));
  return {reinterpret_cast<const char*>(encoded), size_t(encoded_bytes)};
}

std::string accept_head(std::string_view key, std::string_view extra) {
  std::string head =
      "HTTP/1.1 101 Switching Protocols\r\n"
      "Upgrade: websocket\r\n"
      "Connection: Upgrade\r\n";
  head += http::header_line("Sec-WebSocket-Accept", accept_value(key));
  http::append_header_lines(head, extra);
  head += "\r\n";
  return head;
}

}  // namespace holdfast::ws
