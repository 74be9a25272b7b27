#include "wire/resp/request_writer.h"

#include <fmt/format.h>

#include <iterator>

namespace holdfast::resp {

void append_request(std::string& out, std::span<const std::string_view> words) {
  fmt::format_to(std::back_inserter(out), "*{}\r\n", words.size());
  for (std::string_view word : words)
    fmt::format_to(std::back_inserter(out), "${}\r\n{}\r\n", word.size(), word);
}

void append_request(std::string& out, std::initializer_list<std::string_view> words) {
  append_request(out, std::span(words.begin(), words.size()));
}

}  // namespace holdfast::resp
