// bench/micro/api_bench.cc - a push as it comes through the API: JSON to a Command, and a Command
// between workers.
#include <benchmark/benchmark.h>

#include <string>

#include "worker/api/http/json_command.h"
#include "worker/routing/command.h"

namespace holdfast::api {
namespace {

constexpr size_t kMaxMessage = 1024 * 1024;

void parse_body(benchmark::State& state, Op op, const std::string& body) {
  for (auto _ : state) {
    ParsedCommand parsed = parse_command(op, body, kMaxMessage);
    if (std::holds_alternative<ApiError>(parsed)) state.SkipWithError("the body was refused");
    benchmark::DoNotOptimize(parsed);
  }
  state.SetBytesProcessed(int64_t(state.iterations()) * int64_t(body.size()));
}

void publish(benchmark::State& state) {
  std::string data(size_t(state.range(0)), 'x');
  parse_body(state, Op::publish, R"({"channels":["room-4711"],"data":")" + data + R"("})");
}
BENCHMARK(publish)->Name("api/parse_publish")->Arg(64)->Arg(1024)->Arg(65536);

// A value that is not a string goes out as its own text: walked through once, to see that it is JSON.
void publish_object(benchmark::State& state) {
  parse_body(state, Op::publish,
             R"({"channels":["room-4711"],"data":{"type":"chat","from":42,"text":"hello"}})");
}
BENCHMARK(publish_object)->Name("api/parse_publish_object");

// A body with something wrong in it is parsed a second time, for the error's sake.
void publish_refused(benchmark::State& state) {
  std::string body = R"({"channels":["room-4711"],"data":"hello","colour":"red"})";
  for (auto _ : state) benchmark::DoNotOptimize(parse_command(Op::publish, body, kMaxMessage));
}
BENCHMARK(publish_refused)->Name("api/parse_refused");

void batch(benchmark::State& state) {
  std::string body = R"({"commands":[)";
  for (int64_t i = 0; i < state.range(0); ++i)
    body += std::string(i == 0 ? "" : ",") +
            R"({"op":"publish","channels":["room-4711"],"data":{"n":1}})";
  body += "]}";
  for (auto _ : state) benchmark::DoNotOptimize(parse_batch(body, kMaxMessage));
  state.SetItemsProcessed(state.iterations() * state.range(0));
}
BENCHMARK(batch)->Name("api/parse_batch")->Arg(1000);

void send_to_many(benchmark::State& state) {
  std::string body = R"({"sessions":[)";
  for (int64_t i = 0; i < state.range(0); ++i)
    body += std::string(i == 0 ? "" : ",") + "\"0001000000070a1b2c3d4e5f60718293\"";
  parse_body(state, Op::send, body + R"(],"data":"hello"})");
}
BENCHMARK(send_to_many)->Name("api/parse_send")->Arg(1)->Arg(100);

void command_round_trip(benchmark::State& state) {
  Command command{.op = Op::publish, .channels = {"room-4711"}};
  command.data.assign(size_t(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(Command::decode(command.encode()));
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0));
}
BENCHMARK(command_round_trip)->Name("command/encode_decode")->Arg(64)->Arg(4096)->Arg(65536);

}  // namespace
}  // namespace holdfast::api
