// Requests of HTTP/1.1 one behind the other, as hand-shakes and the push API read them.
#include "wire/http/request.h"

#include "tests/fuzz/fuzz.h"

namespace holdfast {
namespace {

using fuzz::Told;
using http::RequestReader;

std::string text_of(const http::Request& request) {
  std::string text = request.method + ' ' + request.target +
                     (request.version_11 ? " 1.1" : " 1.0") +
                     (request.keep_alive ? " kept" : " closed");
  for (const http::Header& header : request.headers)
    text += '\n' + header.name + ": " + header.value;
  return text + "\n\n" + request.body;
}

// Questions the server asks of a request: they must have an answer, whatever it is.
void look_at(const http::Request& request) {
  (void)request.path();
  (void)http::query_values(request.query(), "channel");
  (void)request.header_has_token("Connection", "upgrade");
  for (const http::Header& header : request.headers) {
    std::string line = http::header_line(header.name, header.value);
    fuzz::expect(line.empty() || line.find('\n') == line.size() - 1, "a header is one line");
  }
}

Told run(const http::RequestLimits& limits, const fuzz::Pieces& pieces) {
  Told told;
  RequestReader reader(limits);
  for (std::string_view bytes : pieces) {
    fuzz::Piece piece(bytes);
    std::string_view left = piece.view();
    while (!left.empty()) {
      size_t consumed = 0;
      RequestReader::Status status = reader.feed(left, &consumed);
      fuzz::expect(consumed <= left.size(), "no more is consumed than there is");
      left.remove_prefix(consumed);
      if (status == RequestReader::Status::need_more) {
        fuzz::expect(left.empty(), "who needs more has taken everything");
        break;
      }
      if (status == RequestReader::Status::failed) {
        told.push_back(std::to_string(reader.error_status()) + std::string(reader.error_text()));
        return told;
      }
      told.push_back(text_of(reader.request()));
      look_at(reader.request());
      reader.reset();
    }
  }
  told.push_back(reader.started() ? "in a request" : "between requests");
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  for (http::RequestLimits limits : {http::RequestLimits{}, http::RequestLimits{300, 8, 64},
                                     http::RequestLimits{16384, 100, 1 << 20}})
    fuzz::expect_same_in_every_division(
        fuzz::view(data, size), [&](const fuzz::Pieces& pieces) { return run(limits, pieces); });
  return 0;
}
