// Requests of a Redis client, of somebody known and of a stranger.
#include "tests/fuzz/fuzz.h"
#include "wire/resp/request_reader.h"

namespace holdfast {
namespace {

using fuzz::Told;
using resp::RequestReader;
using Status = RequestReader::Status;

std::string text_of(resp::Arguments arguments) {
  std::string text;
  for (std::string_view argument : arguments)
    text += std::to_string(argument.size()) + ':' + std::string(argument) + ' ';
  return text;
}

// Now and then the bytes are at another place in memory, as the caller's buffer may be. (Every time
// would take too long for what comes byte by byte.)
Told run(const resp::Bounds& bounds, const fuzz::Pieces& pieces) {
  Told told;
  RequestReader reader;
  std::string bytes;
  for (size_t i = 0; i < pieces.size(); ++i) {
    bytes += pieces[i];
    for (bool more = true; more;) {
      fuzz::Piece moved(i % 16 == 0 ? std::string_view(bytes) : std::string_view());
      std::string_view now = i % 16 == 0 ? moved.view() : std::string_view(bytes);
      Status status = reader.read(now, bounds);
      if (status == Status::need_more) {
        bytes.erase(0, reader.skipped());
        break;
      }
      if (status == Status::error) {
        told.push_back("error " + reader.error());
        return told;
      }
      fuzz::expect(reader.used() > 0 && reader.used() <= bytes.size(), "it used what it was given");
      fuzz::expect(status == Status::too_long || reader.used() <= bounds.request_bytes + 2,
                   "it kept the bound");
      fuzz::expect(status != Status::complete || !reader.arguments().empty(),
                   "a request has a name");
      told.push_back(status == Status::empty      ? "empty"
                     : status == Status::too_long ? "too long: " + reader.error()
                                                  : text_of(reader.arguments()));
      bytes.erase(0, reader.used());
      reader.next();
    }
  }
  told.push_back(reader.started() ? "in a request" : "between requests");
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  for (resp::Bounds bounds :
       {resp::Bounds{1 << 20}, resp::Bounds{100}, resp::Bounds{1 << 20, true}})
    fuzz::expect_same_in_every_division(
        fuzz::view(data, size), [&](const fuzz::Pieces& pieces) { return run(bounds, pieces); });
  return 0;
}
