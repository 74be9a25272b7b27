// wire/ws/deflate.h - permessage-deflate (RFC 7692): its terms, and messages deflated and inflated by zlib. Pure bytes.
//
//                      to clients                                  from clients
//   context takeover   never: each message is deflated by itself   if the listener allows it
//   window             32 KiB, see W                               the client's, at most client_max_window_bits
//   memory             one zlib state a worker                     one zlib state a worker; with takeover the last
//                                                                  2^bits bytes of each client's messages (Decoder's)
//
//   W  A message deflated by itself refers back into nothing but itself. So one of at most 2^n bytes is right for every
//      client with a window of n bits or more, and one deflated message serves them all, whatever they asked for by
//      server_max_window_bits (8 too, which zlib cannot do). A longer message goes to clients with a smaller window as
//      it is: they are rare, and deflating it again for each of eight windows would be paid by everybody else.
//
// Who may write: Deflater and Inflater belong to one worker's loop; a call begins and ends a message, nothing stays.
// Crash: nothing is left behind. A handover carries the terms and, with takeover, the window.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

struct z_stream_s;  // zlib.h is included by deflate.cc alone

namespace holdfast::ws {

// The terms that the two sides of a connection have agreed on. One byte, for every connection has one.
//
//   7          6 5 4               3 2 1 0
//   +----------+-------------------+-----------------------------------------------------+
//   | takeover | client's bits - 8 | 0: no permessage-deflate; 7: 15 bits, not asked for; |
//   |          |                   | 8 to 15: server_max_window_bits                      |
//   +----------+-------------------+-----------------------------------------------------+
class DeflateTerms {
 public:
  static constexpr unsigned kMinBits = 8, kMaxBits = 15;

  DeflateTerms() = default;  // none: messages go as they are
  // `server_bits`: as the client asked for; empty: it did not.
  DeflateTerms(std::optional<unsigned> server_bits, unsigned client_bits, bool client_takeover)
      : packed_(uint8_t(server_bits.value_or(kNotAsked) | (client_bits - kMinBits) << 4 |
                        (client_takeover ? kTakeover : 0))) {}
  // Empty: no terms are written so.
  static std::optional<DeflateTerms> unpack(uint8_t packed) {
    DeflateTerms terms;
    terms.packed_ = packed;
    bool sense = packed == 0 || (packed & kServer) >= kNotAsked;
    return sense ? std::optional(terms) : std::nullopt;
  }
  uint8_t packed() const { return packed_; }

  bool on() const { return packed_ != 0; }
  bool server_bits_asked() const { return (packed_ & kServer) >= kMinBits; }
  unsigned server_bits() const { return server_bits_asked() ? packed_ & kServer : kMaxBits; }
  unsigned client_bits() const { return kMinBits + (packed_ >> 4 & 7); }
  bool client_takeover() const { return (packed_ & kTakeover) != 0; }
  bool operator==(const DeflateTerms&) const = default;

 private:
  static constexpr unsigned kServer = 0x0F, kNotAsked = 7, kTakeover = 0x80;
  uint8_t packed_ = 0;
};
static_assert(sizeof(DeflateTerms) == 1);

// The longest a message of `bytes` can become by deflating, whatever the sender's settings of zlib (its deflateBound()), and
// some room for senders that flush in between.
constexpr uint32_t deflated_bound(uint32_t bytes) {
  return bytes + bytes / 8 + bytes / 64 + 256;
}

class Deflater {
 public:
  Deflater();
  ~Deflater();
  // `message` by itself, without the four bytes that its receiver adds (RFC 7692 section 7.2.1); "" if that would not
  // be shorter. Level 1 to 9. The view is valid until the next call.
  std::string_view deflate(std::string_view message, int level);

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };
  std::unique_ptr<z_stream_s, End> stream_;  // made by the first call: 268 KB
  std::string out_;                          // as long as the longest message so far
};

enum class Inflated : uint8_t { whole, broken, too_long };

class Inflater {
 public:
  Inflater();
  ~Inflater();
  // One message, as it came, to `out`. `before`: the bytes of earlier messages that it may refer back to. `out` never has
  // more than `most` + 1 bytes, and means something only with `whole`.
  Inflated inflate(std::string_view message, std::string_view before, size_t most,
                   std::string& out);
  // Microseconds of the last one.
  uint64_t took_us() const { return took_us_; }

 private:
  struct End {
    void operator()(z_stream_s* stream) const noexcept;
  };
  void begin(std::string_view before);
  Inflated feed(std::string_view piece, size_t most, std::string& out, size_t* used, bool* ended);

  std::unique_ptr<z_stream_s, End> stream_;  // made by the first call: 40 KB
  uint64_t took_us_ = 0;
};

}  // namespace holdfast::ws
