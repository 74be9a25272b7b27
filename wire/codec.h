// wire/codec.h - what turns a client's bytes into messages. No virtual function: a codec is a value, and the connection knows its type.
//
//   feed(bytes, sink)   takes bytes, calls the sink for what is whole in them; how many it took. It may write to them. Fewer than all only
//                       if the sink wants no more for now: the others are fed again later, as they came
//   fresh()             it stands as a newly made one: nothing would be lost with it, so between two messages none need be kept
//   held_bytes()        what it has allocated
//   save(), restore()   all it holds, as a record that travels to another process (fields() beside it, wire/<protocol>/record.h).
//                       restore() answers false if no codec of this version can stand so; it is given to one that is newly made
//
// Invariants, tests/unit/wire/codec_test.cc walks them for every codec
//   I1  feed() called with any division of the same bytes makes the same calls on the sink.
//   I2  Memory is taken for bytes that have come, never for what they announce, and has a bound.
//   I3  After an error, or after a sink has ended the stream, feed() takes everything and calls nothing.
//   I4  A codec restored from save() goes on as the saved one would have.
#pragma once

#include <concepts>
#include <cstddef>
#include <span>
#include <utility>

namespace holdfast {

template <class C>
concept Codec = std::movable<C> && std::movable<typename C::Record> &&
    requires(C codec, const C& kept, std::span<char> bytes, typename C::Sink& sink,
             typename C::Record record) {
  { codec.feed(bytes, sink) } -> std::same_as<size_t>;
  { kept.fresh() } -> std::same_as<bool>;
  { kept.held_bytes() } -> std::same_as<size_t>;
  { kept.save() } -> std::same_as<typename C::Record>;
  { codec.restore(std::move(record)) } -> std::same_as<bool>;
};

}  // namespace holdfast
