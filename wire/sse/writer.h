// wire/sse/writer.h - events of a stream as the HTML standard has them ("Server-sent events", text/event-stream), written.
//
//   a message          data: LINE, once for each line; event: NAME if it has one; id: POSITION if it has one; an empty line.
//                      An id that is one reader's own stands before it, as a part of its own (id_line())
//   a control event    event: NAME, then its data: so its first byte is not a message's (is_message())
//   a comment          :
//   how long to wait   retry: MILLISECONDS
//
// What a reader gets back. The lines of data end with CR, LF or both, and are joined by LF: a message comes back as it was, but for its
// CRs. An empty message is one, and so is the last line after an LF at the end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

namespace holdfast::sse {

struct Event {
  std::string_view data;
  std::string_view name = {};  // "": `message`
  std::string_view id = {};    // "": it changes nothing of what the reader has as its last one
};

// Of a message's event: a text that can be written, and that no reader takes for one of ours or of its connection.
bool may_be_a_name(std::string_view text);
// A whole message. A name or an id with a NUL, CR or LF is left out: no value can begin another line.
std::string message(const Event& event);
// Bytes that are no text, as base64, which a stream of text can carry; the name says so.
inline constexpr std::string_view kBinary = "holdfast.binary";
std::string binary_message(std::string_view bytes, std::string_view id = {});
std::string control_event(std::string_view name, std::string_view data, std::string_view id = {});
// Changes only what the reader has as its last id.
std::string id_alone(std::string_view id);
// Before a message without an id that others get, too: together they are one with it.
std::string id_line(std::string_view id);
// A reader passes it over; it keeps what is between the two awake.
inline constexpr std::string_view kComment = ":\n\n";
std::string retry(uint32_t ms);

// Of bytes that these functions have made.
inline bool is_message(std::string_view bytes) {
  return bytes.starts_with('d') || bytes.starts_with('i');
}

}  // namespace holdfast::sse
