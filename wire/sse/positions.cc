#include "wire/sse/positions.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>

#include "wire/http/request.h"

namespace holdfast::sse {
namespace {

bool is_unreserved(char c) {
  return (c >= '0' && c <= '9') || (c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void append_encoded(std::string& out, std::string_view text) {
  for (char c : text) {
    if (is_unreserved(c)) {
      out += c;
    } else {
      fmt::format_to(std::back_inserter(out), "%{:02X}", static_cast<unsigned char>(c));
    }
  }
}

bool has(const Positions& positions, std::string_view channel) {
  return std::any_of(positions.begin(), positions.end(),
                     [&](const auto& one) { return one.first == channel; });
}

}  // namespace

std::string id_of(const Positions& positions) {
  std::string id;
  for (const auto& [channel, at] : positions) {
    if (!at.known()) continue;
    if (!id.empty()) id += '&';
    append_encoded(id, channel);
    id += '=';
    id += text_of(at);
    if (id.size() > kMaxIdBytes) return {};
  }
  return id;
}

std::optional<Positions> read_positions(std::string_view id, size_t most) {
  Positions positions;
  if (id.empty()) return positions;
  if (id.size() > kMaxIdBytes) return {};
  if (std::optional<Position> alone = read_position(id)) {
    positions.emplace_back("", *alone);
    return positions;
  }
  for (bool more = true; more;) {
    size_t end = id.find('&');
    std::string_view pair = id.substr(0, end);
    size_t equals = pair.find('=');
    if (equals == pair.npos) return {};
    std::optional<std::string> channel = http::percent_decode(pair.substr(0, equals));
    std::optional<Position> at = read_position(pair.substr(equals + 1));
    if (!channel || channel->empty() || !at || positions.size() == most) return {};
    if (has(positions, *channel)) return {};
    positions.emplace_back(*std::move(channel), *at);
    more = end != id.npos;
    if (more) id.remove_prefix(end + 1);
  }
  return positions;
}

const Position* find(const Positions& positions, std::string_view channel) {
  for (const auto& [name, at] : positions)
    if (name == channel || name.empty()) return &at;
  return nullptr;
}

}  // namespace holdfast::sse
