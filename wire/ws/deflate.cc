#include "wire/ws/deflate.h"

#define ZLIB_CONST
#include <zlib.h>

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/clock.h"

namespace holdfast::ws {
namespace {

// An empty stored block without its first three bits: what every message ends with, and what is left out on the wire.
constexpr std::string_view kTail("\0\0\xff\xff", 4);
constexpr size_t kFirstOut = 512;

const Bytef* bytes_of(std::string_view text) {
  return reinterpret_cast<const Bytef*>(text.data());
}

// zlib keeps its state by the address of the stream, so it stays where it is.
template <class Pointer, class Init>
void make_once(Pointer& stream, Init init) {
  if (stream) return;
  auto* fresh = new z_stream{};
  if (init(fresh) != Z_OK) {
    delete fresh;
    throw std::bad_alloc();
  }
  stream.reset(fresh);
}

// Nothing is left in the input, and zlib stands between two blocks, at a byte's begin.
bool between_blocks(const z_stream& stream) {
  constexpr int kBits = 0x3f, kBehindBlock = 0x80;
  return (stream.data_type & kBehindBlock) != 0 && (stream.data_type & kBits) == 0;
}

}  // namespace

Deflater::Deflater() = default;
Deflater::~Deflater() = default;

void Deflater::End::operator()(z_stream_s* stream) const noexcept {
  deflateEnd(stream);
  delete stream;
}

std::string_view Deflater::deflate(std::string_view message, int level) {
  if (message.empty()) return {};
  constexpr int kMemLevel = 8;
  make_once(stream_, [=](z_stream* fresh) {
    return deflateInit2(fresh, level, Z_DEFLATED, -int(DeflateTerms::kMaxBits), kMemLevel,
                        Z_DEFAULT_STRATEGY);
  });
  // Room for a message that is one byte shorter and its tail, and the byte by which zlib tells that it has all.
  size_t room = message.size() + kTail.size();
  if (out_.size() < room) out_.resize(room);
  HF_CHECK(deflateReset(stream_.get()) == Z_OK);
  HF_CHECK(deflateParams(stream_.get(), level, Z_DEFAULT_STRATEGY) == Z_OK);
  stream_->next_in = bytes_of(message);
  stream_->avail_in = uInt(message.size());
  stream_->next_out = reinterpret_cast<Bytef*>(out_.data());
  stream_->avail_out = uInt(room);
  HF_CHECK(::deflate(stream_.get(), Z_SYNC_FLUSH) == Z_OK);
  if (stream_->avail_out == 0) return {};  // it goes on
  std::string_view made(out_.data(), room - stream_->avail_out);
  HF_CHECK(made.ends_with(kTail));
  made.remove_suffix(kTail.size());
  return made;
}

Inflater::Inflater() = default;
Inflater::~Inflater() = default;

void Inflater::End::operator()(z_stream_s* stream) const noexcept {
  inflateEnd(stream);
  delete stream;
}

void Inflater::begin(std::string_view before) {
  // 15 bits read what any window wrote. What a client may refer back to is what it is given by `before`.
  make_once(stream_,
            [](z_stream* fresh) { return inflateInit2(fresh, -int(DeflateTerms::kMaxBits)); });
  HF_CHECK(inflateReset(stream_.get()) == Z_OK);
  if (!before.empty())
    HF_CHECK(inflateSetDictionary(stream_.get(), bytes_of(before), uInt(before.size())) == Z_OK);
}

// `*ended`: the last block said so, and nothing of `piece` is left.
Inflated Inflater::feed(std::string_view piece, size_t most, std::string& out, size_t* used,
                        bool* ended) {
  z_stream& z = *stream_;
  z.next_in = bytes_of(piece);
  z.avail_in = uInt(piece.size());
  for (;;) {
    z.next_out = reinterpret_cast<Bytef*>(out.data() + *used);
    z.avail_out = uInt(out.size() - *used);
    int outcome = ::inflate(&z, Z_SYNC_FLUSH);
    *used = out.size() - z.avail_out;
    if (outcome == Z_MEM_ERROR) throw std::bad_alloc();
    if (*used > most) return Inflated::too_long;
    if (outcome == Z_STREAM_END) {
      // A sender may end its stream and begin another in one message (RFC 7692 section 7.2.3.4), which may refer back into
      // the first. inflateReset() would forget that, and to set it anew for each of thirty thousand empty streams
      // in a message would be a gigabyte of copying.
      *ended = z.avail_in == 0;
      if (*ended) return Inflated::whole;
      HF_CHECK(inflateResetKeep(&z) == Z_OK);
    } else if (outcome != Z_OK && outcome != Z_BUF_ERROR) {
      return Inflated::broken;
    } else if (z.avail_out == 0) {
      out.resize(std::min(most + 1, 2 * out.size()));
    } else if (z.avail_in == 0) {
      return Inflated::whole;
    }
  }
}

Inflated Inflater::inflate(std::string_view message, std::string_view before, size_t most,
                           std::string& out) {
  uint64_t began_ns = monotonic_ns();
  begin(before);
  out.resize(std::min(most + 1, std::max(kFirstOut, 4 * message.size())));
  size_t used = 0;
  bool ended = false;
  Inflated done = feed(message, most, out, &used, &ended);
  if (done == Inflated::whole && !ended) {
    done = feed(kTail, most, out, &used, &ended);
    if (done == Inflated::whole && !ended && !between_blocks(*stream_)) done = Inflated::broken;
  }
  out.resize(used);
  took_us_ = (monotonic_ns() - began_ns) / 1000;
  return done;
}

}  // namespace holdfast::ws
