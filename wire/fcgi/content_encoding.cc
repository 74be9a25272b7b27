#include "wire/fcgi/content_encoding.h"

#include <strings.h>
#include <zlib.h>

#include <algorithm>
#include <string_view>

namespace holdfast::fcgi {
namespace {

constexpr int kGzip = 16 + MAX_WBITS, kZlib = MAX_WBITS, kBare = -MAX_WBITS;

bool is(const std::string& text, const char* name) {
  return strcasecmp(text.c_str(), name) == 0;
}

Decoding inflate_all(std::string_view in, int window_bits, size_t max_bytes, std::string& out) {
  z_stream stream{};
  if (inflateInit2(&stream, window_bits) != Z_OK) return Decoding::broken;
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(in.data()));
  stream.avail_in = uInt(in.size());
  Decoding result = Decoding::broken;
  while (true) {
    char piece[16 * 1024];
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof piece;
    int got = inflate(&stream, Z_NO_FLUSH);
    out.append(piece, sizeof piece - stream.avail_out);
    if (out.size() > max_bytes) {
      result = Decoding::too_large;
      break;
    }
    if (got == Z_STREAM_END && stream.avail_in == 0) {
      result = Decoding::undone;
      break;
    }
    // A gzip file may have several members (RFC 1952 section 2.2).
    bool next_member = got == Z_STREAM_END && window_bits == kGzip && inflateReset(&stream) == Z_OK;
    if (got != Z_OK && !next_member) break;
  }
  inflateEnd(&stream);
  return result;
}

Decoding decode(const std::string& coding, const std::string& in, size_t max_bytes,
                std::string& out) {
  if (is(coding, "gzip") || is(coding, "x-gzip")) return inflate_all(in, kGzip, max_bytes, out);
  if (!is(coding, "deflate")) return Decoding::unknown;
  Decoding result = inflate_all(in, kZlib, max_bytes, out);
  if (result != Decoding::broken) return result;
  out.clear();
  return inflate_all(in, kBare, max_bytes, out);
}

}  // namespace

Decoding undo_content_encoding(std::vector<std::pair<std::string, std::string>>& headers,
                               std::string& body, size_t max_bytes) {
  std::string coding;
  for (const auto& [name, value] : headers) {
    if (!is(name, "Content-Encoding") || is(value, "identity") || value.empty()) continue;
    coding += (coding.empty() ? "" : ", ") + value;
  }
  if (coding.empty()) return Decoding::none;
  std::string out;
  // An answer without a body may say what it would be.
  Decoding result = body.empty() ? Decoding::undone : decode(coding, body, max_bytes, out);
  if (result != Decoding::undone) return result;
  body = std::move(out);
  std::erase_if(headers, [](const auto& header) {
    return is(header.first, "Content-Encoding") || is(header.first, "Content-Length");
  });
  return Decoding::undone;
}

}  // namespace holdfast::fcgi
