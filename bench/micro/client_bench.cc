// bench/micro/client_bench.cc - what the load tool reads for each message: its own short ways beside the readers of wire/.
#include <benchmark/benchmark.h>

#include <string>

#include "bench/load/api_client.h"
#include "bench/load/resp.h"
#include "wire/http/request.h"
#include "wire/http/response_reader.h"
#include "wire/resp/reply_reader.h"
#include "wire/ws/client.h"
#include "wire/ws/encoder.h"

namespace holdfast::bench {
namespace {

void ws_frame(benchmark::State& state) {
  std::string frame = ws::encode(ws::Opcode::text, std::string(size_t(state.range(0)), 'x'));
  for (auto _ : state) {
    ws::Frame read = ws::read_server_frame(frame, kMaxFrameBytes);
    if (read.state != ws::FrameState::whole) state.SkipWithError("the frame was refused");
    benchmark::DoNotOptimize(read.payload.data());
  }
}
BENCHMARK(ws_frame)->Name("client/ws_frame")->Arg(128);

void ws_append(benchmark::State& state) {
  std::string out, payload(size_t(state.range(0)), 'x');
  for (auto _ : state) {
    out.clear();
    ws::append_client_frame(out, ws::Opcode::text, payload, 77);
    benchmark::DoNotOptimize(out.data());
  }
}
BENCHMARK(ws_append)->Name("client/ws_append")->Arg(128);

std::string published(size_t bytes) {
  return "*3\r\n$7\r\nmessage\r\n$5\r\nbench\r\n$" + std::to_string(bytes) + "\r\n" +
         std::string(bytes, 'x') + "\r\n";
}

void resp_push(benchmark::State& state) {
  std::string push = published(size_t(state.range(0)));
  for (auto _ : state) {
    ws::Frame read = read_push(push);
    if (read.state != ws::FrameState::whole) state.SkipWithError("the message was refused");
    benchmark::DoNotOptimize(read.payload.data());
  }
}
BENCHMARK(resp_push)->Name("client/resp_push")->Arg(128);

void resp_push_by_wire(benchmark::State& state) {
  std::string push = published(size_t(state.range(0)));
  resp::ReplyReader reader;
  for (auto _ : state) {
    if (reader.read(push) != resp::ReplyReader::Status::complete)
      state.SkipWithError("the message was refused");
    benchmark::DoNotOptimize(reader.elements()[3].text.data());
    reader.next();
  }
}
BENCHMARK(resp_push_by_wire)->Name("client/resp_push_by_wire")->Arg(128);

void resp_answer(benchmark::State& state) {
  resp::ReplyReader reader;
  ApiAnswer answer;
  for (auto _ : state)
    if (read_resp_answer(reader, ":1000\r\n", false, &answer) == 0 || !answer.whole)
      state.SkipWithError("the answer was refused");
}
BENCHMARK(resp_answer)->Name("client/resp_answer");

std::string answered() {
  return http::make_response(200, "application/json", R"({"delivered":1000})", true);
}

void http_answer(benchmark::State& state) {
  std::string bytes = answered();
  ApiAnswer answer;
  for (auto _ : state)
    if (read_http_answer(bytes, &answer) == 0 || !answer.whole)
      state.SkipWithError("the answer was refused");
}
BENCHMARK(http_answer)->Name("client/http_answer");

void http_answer_by_wire(benchmark::State& state) {
  std::string bytes = answered();
  http::ResponseReader reader({.max_body = 1000});
  for (auto _ : state) {
    size_t consumed = 0;
    if (reader.feed(bytes, &consumed) != http::ResponseReader::Status::complete)
      state.SkipWithError("the answer was refused");
    benchmark::DoNotOptimize(reader.response().body.data());
    reader.reset();
  }
}
BENCHMARK(http_answer_by_wire)->Name("client/http_answer_by_wire");

}  // namespace
}  // namespace holdfast::bench
