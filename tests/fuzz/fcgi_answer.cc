// The answer of a FastCGI server: records, then the CGI header in what they carry.
#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "wire/fcgi/records.h"

namespace holdfast {
namespace {

using fuzz::Told;

// Chunks of one stream may be divided differently: those that follow one another are one.
class Sink final : public fcgi::RecordSink {
 public:
  bool on_stdout(std::string_view bytes) override {
    out += bytes;
    return add('o', bytes);
  }
  bool on_stderr(std::string_view bytes) override { return add('e', bytes); }
  void on_end(uint32_t app_status, fcgi::ProtocolStatus status) override {
    told.push_back("end " + std::to_string(app_status) + ' ' + std::to_string(int(status)));
  }

  Told told;
  std::string out;

 private:
  bool add(char stream, std::string_view bytes) {
    if (bytes.empty()) return true;
    if (told.empty() || told.back()[0] != stream) told.emplace_back(1, stream);
    told.back() += bytes;
    return true;
  }
};

Told run(const fuzz::Pieces& pieces) {
  Sink sink;
  fcgi::RecordReader reader;
  bool good = true;
  for (std::string_view bytes : pieces) {
    bool now = reader.feed(fuzz::Piece(bytes).view(), sink);
    fuzz::expect(good || !now, "what is of no more use stays so");
    good = now;
  }
  sink.told.push_back(good ? "good" : "bad");
  return sink.told;
}

std::string text_of(fcgi::CgiParse result, const fcgi::CgiHead& head) {
  if (result == fcgi::CgiParse::need_more) return "more";
  if (result == fcgi::CgiParse::malformed) return "malformed";
  std::string text = std::to_string(head.status) + ' ' + std::to_string(head.body_offset);
  for (const auto& [name, value] : head.headers) text += '\n' + name + ": " + value;
  return text;
}

std::string parse(std::string_view text) {
  fuzz::Piece piece(text);
  fcgi::CgiHead head;
  fcgi::CgiParse result = fcgi::parse_cgi_head(piece.view(), &head);
  fuzz::expect(result != fcgi::CgiParse::complete || head.body_offset <= text.size(),
               "the body begins in the text");
  return text_of(result, head);
}

// The first answer that is not "more" stands, whatever follows.
void expect_same_head(std::string_view text) {
  std::string whole = parse(text);
  for (size_t size = 0; size <= text.size(); size += std::max<size_t>(1, text.size() / 200)) {
    std::string part = parse(text.substr(0, size));
    fuzz::expect(part == "more" || part == whole,
                 "a header is judged once: " + part + "\n" + whole);
  }
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  std::string_view bytes = fuzz::view(data, size);
  fuzz::expect_same_in_every_division(bytes, run);
  Sink sink;
  fcgi::RecordReader().feed(bytes, sink);
  expect_same_head(sink.out);
  expect_same_head(bytes);
  return 0;
}
