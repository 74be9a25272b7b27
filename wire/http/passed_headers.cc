#include "wire/http/passed_headers.h"

#include <algorithm>
#include <map>

#include "wire/http/chars.h"

namespace holdfast::http {
namespace {

constexpr std::string_view kNeverPassed[] = {"Proxy", "Accept-Encoding", "Content-Length",
                                             "Content-Type"};

bool is_alphanumeric(char c) {
  return (c >= '0' && c <= '9') || (lower_char(c) >= 'a' && lower_char(c) <= 'z');
}

bool is_plain(std::string_view name) {
  return !name.empty() && std::all_of(name.begin(), name.end(),
                                      [](char c) { return is_alphanumeric(c) || c == '-'; });
}

bool is_passed(std::string_view name) {
  if (!is_plain(name)) return false;
  return std::none_of(std::begin(kNeverPassed), std::end(kNeverPassed),
                      [&](std::string_view never) { return equal_ignoring_case(name, never); });
}

}  // namespace

std::string cgi_name(std::string_view header) {
  std::string name = "HTTP_";
  for (char c : header) {
    bool small = c >= 'a' && c <= 'z';
    name += small ? char(c - 'a' + 'A') : is_alphanumeric(c) ? c : '_';
  }
  return name;
}

std::vector<Header> passed_headers(const Request& request) {
  std::vector<Header> passed;
  std::map<std::string, size_t> places;  // by what an application calls them
  for (const Header& header : request.headers) {
    if (!is_passed(header.name)) continue;
    auto [place, fresh] = places.emplace(cgi_name(header.name), passed.size());
    if (fresh) {
      passed.push_back(header);
    } else {
      bool cookie = equal_ignoring_case(header.name, "Cookie");
      passed[place->second].value += (cookie ? "; " : ", ") + header.value;
    }
  }
  return passed;
}

std::string_view doubtful_header(const Request& request) {
  std::map<std::string, std::string_view> names;  // by what an application calls them
  for (const Header& header : request.headers) {
    auto [before, fresh] = names.emplace(cgi_name(header.name), header.name);
    if (fresh) continue;
    bool same = equal_ignoring_case(header.name, before->second);
    if (same && !equal_ignoring_case(header.name, "Authorization")) continue;
    return is_plain(header.name) ? before->second : std::string_view(header.name);
  }
  return {};
}

}  // namespace holdfast::http
