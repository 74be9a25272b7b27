// Replies and pushes of a Redis server.
#include "tests/fuzz/fuzz.h"
#include "wire/resp/reply_reader.h"

namespace holdfast {
namespace {

using fuzz::Told;
using resp::ReplyReader;
using Status = ReplyReader::Status;

std::string text_of(const ReplyReader& reader) {
  std::string text;
  for (const resp::ReplyElement& element : reader.elements())
    text.append(std::to_string(int(element.kind)) + ' ' + std::to_string(element.number) + ' ')
        .append(element.text)
        .append("|");
  return text;
}

// Now and then the bytes are at another place in memory, as the caller's buffer may be. (Every time
// would take too long for what comes byte by byte.)
Told run(const resp::ReplyBounds& bounds, const fuzz::Pieces& pieces) {
  Told told;
  ReplyReader reader(bounds);
  std::string bytes;
  for (size_t i = 0; i < pieces.size(); ++i) {
    bytes += pieces[i];
    for (;;) {
      fuzz::Piece moved(i % 16 == 0 ? std::string_view(bytes) : std::string_view());
      Status status = reader.read(i % 16 == 0 ? moved.view() : std::string_view(bytes));
      if (status == Status::need_more) break;
      if (status == Status::error) {
        told.emplace_back(reader.error_text());
        return told;
      }
      fuzz::expect(reader.used() > 0 && reader.used() <= bytes.size(), "it used what it was given");
      fuzz::expect(reader.used() <= bounds.bytes && reader.elements().size() <= bounds.elements,
                   "it kept its bounds");
      fuzz::expect(!reader.elements().empty(), "a reply has an element");
      told.push_back(text_of(reader));
      bytes.erase(0, reader.used());
      reader.next();
    }
  }
  told.push_back(bytes.empty() ? "between replies" : "in a reply");
  return told;
}

}  // namespace
}  // namespace holdfast

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  using namespace holdfast;
  for (resp::ReplyBounds bounds : {resp::ReplyBounds{}, resp::ReplyBounds{60, 5, 2}})
    fuzz::expect_same_in_every_division(
        fuzz::view(data, size), [&](const fuzz::Pieces& pieces) { return run(bounds, pieces); });
  return 0;
}
