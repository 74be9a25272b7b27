// Answers of HTTP/1.1 one behind the other, as holdfastctl and the load tool read them.
#include "wire/http/response_reader.h"

#include "tests/fuzz/fuzz.h"

namespace holdfast {
namespace {

using fuzz::Told;
using http::ResponseReader;
using Status = ResponseReader::Status;

std::string text_of(const http::Response& answer) {
  std::string text =
      std::to_string(answer.head.status) + (answer.head.version_11 ? " 1.1" : " 1.0");
  http::HeaderView header;
  for (http::HeaderLines lines(answer.lines); lines.next(&header);) {
    text.append("\n").append(header.name).append(": ").append(header.value);
    fuzz::expect(answer.header(header.name).has_value(), "a header is found by its name");
  }
  return text + "\n\n" + answer.body;
}

void check(const http::ResponseLimits& limits, const http::Response& answer) {
  http::ResponseHead again;
  fuzz::expect(http::read_response_head(answer.lines, &again).empty() &&
                   again.status == answer.head.status && again.body == answer.head.body,
               "a head is read the same again");
  fuzz::expect(answer.body.size() <= limits.max_body, "a body has its bound");
  fuzz::expect(answer.head.body != http::ResponseHead::Body::length ||
                   answer.body.size() == answer.head.length,
               "a body has its announced length");
}

Told run(const http::ResponseLimits& limits, const fuzz::Pieces& pieces) {
  Told told;
  ResponseReader reader(limits);
  for (std::string_view bytes : pieces) {
    fuzz::Piece piece(bytes);
    std::string_view left = piece.view();
    while (!left.empty()) {
      size_t consumed = 0;
      Status status = reader.feed(left, &consumed);
      fuzz::expect(consumed <= left.size(), "no more is consumed than there is");
      left.remove_prefix(consumed);
      if (status == Status::need_more) {
        fuzz::expect(left.empty(), "a reader that needs more has taken everything");
        break;
      }
      if (status == Status::failed) {
        told.emplace_back(reader.error_text());
        fuzz::expect(reader.end() == Status::failed, "a failure stays");
        return told;
      }
      check(limits, reader.response());
      told.push_back(text_of(reader.response()));
      reader.reset();
    }
  }
  if (!reader.started()) return told;
  told.push_back(reader.end() == Status::complete ? text_of(reader.response())
                                                  : std::string(reader.error_text()));
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  for (http::ResponseLimits limits :
       {http::ResponseLimits{1 << 16, 1 << 20}, http::ResponseLimits{200, 64}})
    fuzz::expect_same_in_every_division(
        fuzz::view(data, size), [&](const fuzz::Pieces& pieces) { return run(limits, pieces); });
  return 0;
}
