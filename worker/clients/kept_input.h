// worker/clients/kept_input.h - what there is of a client's input between two reads: most clients have nothing, for most messages come
// whole, and between two of them a codec is fresh.
//
// Owner: the Client. It has one in the middle of a message, after the last one, while something is kept that the client may refer
// back to, and while something is left to decode.
#pragma once

#include <cstddef>
#include <memory>
#include <utility>

#include "wire/codec.h"
#include "worker/net/input_queue.h"

namespace holdfast {

struct KeptInput {
  virtual ~KeptInput() = default;
  std::unique_ptr<Undecoded> undecoded;  // the socket is not read while there is
};

// With the codec of one wire, which makes all of its clients' and so knows the type.
template <Codec C>
struct KeptCodec final : KeptInput {
  explicit KeptCodec(C kept) : codec(std::move(kept)) {}
  C codec;
};

template <Codec C>
C& codec_of(KeptInput& kept) {
  return static_cast<KeptCodec<C>&>(kept).codec;
}

// feed(codec), with the one that is kept or else what make() makes; keeps it unless it is fresh. What feed() returned.
template <Codec C, class Make, class Feed>
size_t feed_and_keep(std::unique_ptr<KeptInput>& kept, Make&& make, Feed&& feed) {
  if (kept) {
    C& codec = codec_of<C>(*kept);
    size_t used = feed(codec);
    if (codec.fresh()) kept.reset();
    return used;
  }
  C codec = make();
  size_t used = feed(codec);
  if (!codec.fresh()) kept = std::make_unique<KeptCodec<C>>(std::move(codec));
  return used;
}

}  // namespace holdfast
