#include "wire/ws/handshake.h"

#include <openssl/evp.h>

#include <algorithm>

#include "base/check.h"

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

// "example.com:443" is "example.com" where 443 is what the scheme means anyway.
std::string_view without_default_port(std::string_view host, std::string_view scheme) {
  std::string_view port;
  if (scheme == "https" || scheme == "wss") port = ":443";
  if (scheme == "http" || scheme == "ws") port = ":80";
  if (!port.empty() && host.ends_with(port)) host.remove_suffix(port.size());
  return host;
}

// `origin` in lower case.
bool same_host(std::string_view origin, std::string_view host) {
  size_t mark = origin.find("://");
  if (mark == origin.npos) return false;  // "null" among others
  std::string_view scheme = origin.substr(0, mark);
  return without_default_port(origin.substr(mark + 3), scheme) ==
         without_default_port(lower(host), scheme);
}

bool origin_allowed(std::string_view sent, std::string_view host,
                    const std::vector<std::string>& origins) {
  std::string origin = lower(sent);
  if (origins.empty()) return same_host(origin, host);
  // The configuration's are written as browsers send them; other programs, and sessions of a version before, may not be.
  std::string_view scheme = std::string_view(origin).substr(0, origin.find("://"));
  std::string_view plain = without_default_port(origin, scheme);
  return std::any_of(origins.begin(), origins.end(), [&](const std::string& allowed) {
    std::string listed = lower(allowed);
    return allowed == "*" || without_default_port(listed, scheme) == plain;
  });
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
  if (sent == 1 && !origin_allowed(*request.header("Origin"), *request.header("Host"), origins))
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
