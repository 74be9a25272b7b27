// bench/micro/ws_bench.cc - WebSocket frames: what one message costs on its way in and out.
#include <benchmark/benchmark.h>

#include <string>

#include "wire/ws/decoder.h"
#include "wire/ws/encoder.h"
#include "wire/ws/mask.h"

namespace holdfast::ws {
namespace {

constexpr uint32_t kMaxMessage = 1024 * 1024;

std::string masked_frame(Opcode opcode, const std::string& payload) {
  char head[10];
  size_t size = write_header(head, opcode, payload.size());
  head[1] = char(head[1] | 0x80);
  MaskKey key{0x12, 0x34, 0x56, 0x78};
  std::string frame(head, size);
  frame.append(reinterpret_cast<const char*>(key.data()), key.size());
  std::string masked = payload;
  apply_mask(masked.data(), masked.size(), key);
  return frame + masked;
}

class CountingSink : public FrameSink {
 public:
  bool on_message(Opcode, std::string_view payload) override {
    bytes += payload.size();
    return true;
  }
  bool on_ping(std::string_view) override { return true; }
  bool on_pong(std::string_view) override { return true; }
  void on_close(uint16_t, std::string_view) override {}
  void on_error(uint16_t, std::string_view) override { ++errors; }
  uint64_t bytes = 0;
  uint64_t errors = 0;
};

void count_bytes(benchmark::State& state, size_t bytes_each) {
  state.SetBytesProcessed(int64_t(state.iterations()) * int64_t(bytes_each));
}

void unmask(benchmark::State& state) {
  std::string payload(size_t(state.range(0)), 'x');
  MaskKey key{0x12, 0x34, 0x56, 0x78};
  for (auto _ : state) {
    apply_mask(payload.data(), payload.size(), key);
    benchmark::DoNotOptimize(payload.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, payload.size());
}
BENCHMARK(unmask)->Name("ws/unmask")->Arg(16)->Arg(125)->Arg(1024)->Arg(65536);

// feed() unmasks in place, so every turn starts from a fresh copy; "ws/copy" is what that copy
// costs by itself.
void decode(benchmark::State& state, Opcode opcode) {
  std::string frame = masked_frame(opcode, std::string(size_t(state.range(0)), 'x'));
  std::string bytes(frame.size(), '\0');
  Decoder decoder(kMaxMessage);
  CountingSink sink;
  for (auto _ : state) {
    std::copy(frame.begin(), frame.end(), bytes.begin());
    decoder.feed(bytes, sink);
  }
  if (sink.errors != 0) state.SkipWithError("the decoder refused the frame");
  benchmark::DoNotOptimize(sink.bytes);
  count_bytes(state, size_t(state.range(0)));
}
BENCHMARK_CAPTURE(decode, text, Opcode::text)
    ->Name("ws/decode_text")
    ->Arg(16)
    ->Arg(125)
    ->Arg(1024)
    ->Arg(65536);
BENCHMARK_CAPTURE(decode, binary, Opcode::binary)
    ->Name("ws/decode_binary")
    ->Arg(16)
    ->Arg(125)
    ->Arg(1024)
    ->Arg(65536);

void copy(benchmark::State& state) {
  std::string frame = masked_frame(Opcode::text, std::string(size_t(state.range(0)), 'x'));
  std::string bytes(frame.size(), '\0');
  for (auto _ : state) {
    std::copy(frame.begin(), frame.end(), bytes.begin());
    benchmark::DoNotOptimize(bytes.data());
    benchmark::ClobberMemory();
  }
  count_bytes(state, size_t(state.range(0)));
}
BENCHMARK(copy)->Name("ws/copy")->Arg(16)->Arg(125)->Arg(1024)->Arg(65536);

// 64 small frames that came in one read.
void decode_many(benchmark::State& state) {
  std::string frames;
  for (int i = 0; i < 64; ++i) frames += masked_frame(Opcode::text, std::string(32, 'x'));
  std::string bytes(frames.size(), '\0');
  Decoder decoder(kMaxMessage);
  CountingSink sink;
  for (auto _ : state) {
    std::copy(frames.begin(), frames.end(), bytes.begin());
    decoder.feed(bytes, sink);
  }
  if (sink.errors != 0) state.SkipWithError("the decoder refused the frames");
  state.SetItemsProcessed(int64_t(state.iterations()) * 64);
}
BENCHMARK(decode_many)->Name("ws/decode_64_frames");

void encode_frame(benchmark::State& state) {
  std::string payload(size_t(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(encode(Opcode::text, payload));
  count_bytes(state, payload.size());
}
BENCHMARK(encode_frame)->Name("ws/encode")->Arg(16)->Arg(125)->Arg(1024)->Arg(65536);

void encode_header(benchmark::State& state) {
  char head[10];
  for (auto _ : state) {
    benchmark::DoNotOptimize(write_header(head, Opcode::text, size_t(state.range(0))));
    benchmark::ClobberMemory();
  }
}
BENCHMARK(encode_header)->Name("ws/header")->Arg(16)->Arg(1024)->Arg(65536);

}  // namespace
}  // namespace holdfast::ws
