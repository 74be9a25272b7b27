// Events of a stream: a reader of the standard gets back what was written; and positions that a client names.
#include <algorithm>

#include "tests/fuzz/fuzz.h"
#include "wire/sse/positions.h"
#include "wire/sse/writer.h"

namespace {

using namespace holdfast;

struct Read {
  std::string data, name, id;
  bool dispatched = false;
  int events = 0;
};

// As the HTML standard has it, "9.2.6 Interpreting an event stream", for the bytes of one event.
Read read(std::string_view bytes) {
  Read got;
  std::string data;
  for (size_t at = 0; at < bytes.size();) {
    size_t end = std::min(bytes.find_first_of("\r\n", at), bytes.size());
    std::string_view line = bytes.substr(at, end - at);
    at = end + (bytes.substr(end, 2) == "\r\n" ? 2 : 1);
    if (line.empty()) {
      got.dispatched = !data.empty();
      got.events += data.empty() ? 0 : 1;
      if (!data.empty()) got.data = data.substr(0, data.size() - 1);
      data.clear();
      continue;
    }
    size_t colon = std::min(line.find(':'), line.size());
    std::string_view field = line.substr(0, colon);
    std::string_view value = line.substr(std::min(colon + 1, line.size()));
    if (value.starts_with(' ')) value.remove_prefix(1);
    if (field == "data") data.append(value) += '\n';
    if (field == "event") got.name = value;
    if (field == "id" && value.find('\0') == std::string_view::npos) got.id = value;
  }
  return got;
}

// CR, LF and CRLF are an LF to a reader.
std::string with_line_feeds(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i] == '\r' ? '\n' : text[i];
  }
  return out;
}

void try_event(std::string_view bytes) {
  fuzz::Piece whole(bytes);
  size_t a = std::min<size_t>(bytes.empty() ? 0 : uint8_t(bytes[0]) % 32, bytes.size());
  size_t b = std::min<size_t>(2 * a, bytes.size());
  std::string_view name = whole.view().substr(0, a), id = whole.view().substr(a, b - a),
                   data = whole.view().substr(b);
  std::string written = sse::message({.data = data, .name = name, .id = id});
  fuzz::expect(sse::is_message(written) || written.starts_with('e'), "it begins as a message does");
  Read got = read(written);
  fuzz::expect(got.events == 1, "it is one event");
  fuzz::expect(got.data == with_line_feeds(data), "its data come back");
  constexpr std::string_view kEnds("\0\r\n", 3);
  if (id.find_first_of(kEnds) == std::string_view::npos) fuzz::expect(got.id == id, "its id");
  if (name.find_first_of(kEnds) == std::string_view::npos)
    fuzz::expect(got.name == name, "its name comes back");
  else
    fuzz::expect(got.name.empty(), "a name with an end of line is left out");
  fuzz::expect(read(sse::binary_message(data, "1")).events == 1, "bytes are one event");
}

void try_positions(std::string_view bytes) {
  fuzz::Piece whole(bytes);
  if (auto one = read_position(whole.view()))
    fuzz::expect(text_of(*one) == bytes, "a position is written as it was read");
  auto read = sse::read_positions(whole.view(), 16);
  if (!read) return;
  fuzz::expect(read->size() <= 16, "no more than asked for");
  for (size_t i = 0; i < read->size(); ++i)
    fuzz::expect(sse::find(*read, (*read)[i].first) == &(*read)[i].second,
                 "no channel stands twice");
  bool named = std::none_of(read->begin(), read->end(), [](auto& p) { return p.first.empty(); });
  bool known = std::all_of(read->begin(), read->end(), [](auto& p) { return p.second.known(); });
  if (!named || !known) return;
  std::string id = sse::id_of(*read);
  if (id.empty()) return;  // longer than they were
  auto again = sse::read_positions(id, 16);
  fuzz::expect(again && *again == *read, "positions come back");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::view(data, size);
  try_event(bytes);
  try_positions(bytes);
  return 0;
}
