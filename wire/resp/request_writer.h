// wire/resp/request_writer.h - requests to a Redis server: the client's side.
#pragma once

#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace holdfast::resp {

// Appends one request, an array of bulk strings.
void append_request(std::string& out, std::span<const std::string_view> words);
void append_request(std::string& out, std::initializer_list<std::string_view> words);

}  // namespace holdfast::resp
