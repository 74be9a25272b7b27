#include "wire/sse/writer.h"

#include <openssl/evp.h>

#include "base/check.h"

namespace holdfast::sse {
namespace {

constexpr std::string_view kLineEnds = "\r\n";
constexpr std::string_view kNotInAField{"\0\r\n", 3};
constexpr size_t kUsualFraming = 16;  // of a message of one line without a name

void append_field(std::string& out, std::string_view field, std::string_view value) {
  if (value.empty() || value.find_first_of(kNotInAField) != value.npos) return;
  out += field;
  out += value;
  out += '\n';
}

void append_data(std::string& out, std::string_view data) {
  for (;;) {
    size_t end = data.find_first_of(kLineEnds);
    out += "data: ";
    out += data.substr(0, end);
    out += '\n';
    if (end == data.npos) return;
    data.remove_prefix(end + (data.substr(end).starts_with("\r\n") ? 2 : 1));
  }
}

std::string to_base64(std::string_view bytes) {
  std::string text((bytes.size() + 2) / 3 * 4 + 1, '\0');  // and the NUL that is put there
  int written =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(text.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  HF_CHECK(written >= 0 && size_t(written) < text.size());
  text.resize(size_t(written));
  return text;
}

}  // namespace

bool may_be_a_name(std::string_view text) {
  return !text.empty() && text.find_first_of(kNotInAField) == text.npos && text != "open" &&
         text != "error" && !text.starts_with("holdfast.");
}

std::string message(const Event& event) {
  std::string out;
  out.reserve(event.data.size() + event.name.size() + event.id.size() + kUsualFraming);
  append_data(out, event.data);
  append_field(out, "event: ", event.name);
  append_field(out, "id: ", event.id);
  out += '\n';
  return out;
}

std::string binary_message(std::string_view bytes, std::string_view id) {
  return message({to_base64(bytes), kBinary, id});
}

std::string control_event(std::string_view name, std::string_view data, std::string_view id) {
  std::string out;
  append_field(out, "event: ", name);
  append_data(out, data);
  append_field(out, "id: ", id);
  out += '\n';
  return out;
}

std::string id_line(std::string_view id) {
  std::string out;
  append_field(out, "id: ", id);
  return out;
}

std::string id_alone(std::string_view id) {
  return ":\n" + id_line(id) + "\n";
}

std::string retry(uint32_t ms) {
  return "retry: " + std::to_string(ms) + "\n\n";
}

}  // namespace holdfast::sse
