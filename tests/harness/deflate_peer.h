// tests/harness/deflate_peer.h - the other side of permessage-deflate (RFC 7692), by zlib itself.
#pragma once

#include <zlib.h>

#include <memory>
#include <stdexcept>
#include <string>
#include <string_view>

namespace holdfast::test {

// One stream for all its messages: whoever wants no context takeover makes a new one for each.
class PeerDeflater {
 public:
  explicit PeerDeflater(int bits = 15, int level = 6, int strategy = Z_DEFAULT_STRATEGY) {
    if (deflateInit2(stream_.get(), level, Z_DEFLATED, -bits, 8, strategy) != Z_OK)
      throw std::runtime_error("deflateInit2");
  }
  // What stands on the wire: with Z_SYNC_FLUSH, without its last four bytes.
  std::string message(std::string_view text, int flush = Z_SYNC_FLUSH) {
    if (text.empty() && flush == Z_SYNC_FLUSH)
      return std::string(1, '\0');  // zlib has nothing to flush (7.2.3.6)
    std::string out(text.size() * 2 + 1024, '\0');
    stream_->next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
    stream_->avail_in = uInt(text.size());
    stream_->next_out = reinterpret_cast<Bytef*>(out.data());
    stream_->avail_out = uInt(out.size());
    int outcome = deflate(stream_.get(), flush);
    if (outcome != Z_OK && outcome != Z_STREAM_END) throw std::runtime_error("deflate");
    size_t made = out.size() - stream_->avail_out;
    return out.substr(0, flush == Z_SYNC_FLUSH ? made - 4 : made);
  }

 private:
  struct End {
    void operator()(z_stream* stream) const {
      deflateEnd(stream);
      delete stream;
    }
  };
  std::unique_ptr<z_stream, End> stream_{new z_stream{}};
};

// A message of the server, which must read by itself with a window of so many bits.
inline std::string peer_inflate(std::string message, int bits = 15) {
  message += std::string_view("\0\0\xff\xff", 4);
  z_stream stream{};
  if (inflateInit2(&stream, -bits) != Z_OK) throw std::runtime_error("inflateInit2");
  stream.next_in = reinterpret_cast<Bytef*>(message.data());
  stream.avail_in = uInt(message.size());
  std::string out;
  int outcome = Z_OK;
  while (outcome == Z_OK) {
    char piece[100];  // often less than the window: zlib needs it
    stream.next_out = reinterpret_cast<Bytef*>(piece);
    stream.avail_out = sizeof piece;
    outcome = inflate(&stream, Z_SYNC_FLUSH);
    out.append(piece, sizeof piece - stream.avail_out);
  }
  inflateEnd(&stream);
  if (outcome != Z_BUF_ERROR || stream.avail_in != 0) throw std::runtime_error("inflate");
  return out;
}

}  // namespace holdfast::test
