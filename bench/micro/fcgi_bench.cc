// bench/micro/fcgi_bench.cc - a FastCGI request out, its answer in.
#include <benchmark/benchmark.h>

#include <string>

#include "base/bytes.h"
#include "wire/fcgi/records.h"

namespace holdfast::fcgi {
namespace {

// What a browser's hand-shake and our own parameters come to.
std::string usual_params() {
  std::string params;
  append_param(params, "REQUEST_METHOD", "POST");
  append_param(params, "SCRIPT_FILENAME", "/srv/app/gateway.php");
  append_param(params, "SERVER_PROTOCOL", "HTTP/1.1");
  append_param(params, "GATEWAY_INTERFACE", "CGI/1.1");
  append_param(params, "SESSIONID", "0001000000070a1b2c3d4e5f60718293");
  append_param(params, "HTTP_HOST", "www.example.com");
  append_param(params, "HTTP_COOKIE", std::string(200, 'c'));
  append_param(params, "HTTP_USER_AGENT", std::string(110, 'u'));
  for (int i = 0; i < 12; ++i) append_param(params, "HTTP_X_FIELD_" + std::to_string(i), "value");
  return params;
}

void params(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(usual_params());
}
BENCHMARK(params)->Name("fcgi/params");

void encode(benchmark::State& state) {
  std::string encoded_params = usual_params();
  std::string body(size_t(state.range(0)), 'x');
  for (auto _ : state) benchmark::DoNotOptimize(encode_request(encoded_params, body, true));
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0));
}
BENCHMARK(encode)->Name("fcgi/encode_request")->Arg(64)->Arg(4096)->Arg(65536);

// A record of request 1 without padding (FastCGI Specification 1.0, section 3.3).
std::string record(uint8_t type, const std::string& content) {
  char head[8] = {1, char(type), 0, 1, 0, 0, 0, 0};
  store_be16(head + 4, uint16_t(content.size()));
  return std::string(head, sizeof head) + content;
}

class CountingSink : public RecordSink {
 public:
  bool on_stdout(std::string_view bytes) override {
    out += bytes.size();
    return true;
  }
  bool on_stderr(std::string_view) override { return true; }
  void on_end(uint32_t, ProtocolStatus) override { ++ends; }
  uint64_t out = 0;
  uint64_t ends = 0;
};

void parse(benchmark::State& state) {
  std::string body(size_t(state.range(0)), 'x');
  std::string answer = record(6, "Content-Type: text/plain\r\n\r\n" + body) + record(6, "") +
                       record(3, std::string(8, '\0'));
  CountingSink sink;
  RecordReader reader;
  for (auto _ : state) {
    reader.reset();
    if (!reader.feed(answer, sink)) break;
  }
  if (sink.ends != uint64_t(state.iterations())) state.SkipWithError("the answer was refused");
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0));
}
BENCHMARK(parse)->Name("fcgi/parse_answer")->Arg(64)->Arg(4096)->Arg(32768);

void cgi_head(benchmark::State& state) {
  std::string text =
      "Status: 200 OK\r\nX-Powered-By: PHP/8.2\r\nContent-Type: text/html; charset=UTF-8\r\n"
      "Holdfast-Join: room1, room2\r\nHoldfast-Publish: room1\r\n\r\nhello";
  CgiHead head;
  for (auto _ : state) {
    if (parse_cgi_head(text, &head) != CgiParse::complete) state.SkipWithError("not complete");
    head = {};
  }
}
BENCHMARK(cgi_head)->Name("fcgi/parse_cgi_head");

}  // namespace
}  // namespace holdfast::fcgi
