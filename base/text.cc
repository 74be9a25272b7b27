#include "base/text.h"

namespace holdfast {
namespace {

constexpr size_t kShownBytes = 200;

}  // namespace

std::string shown(std::string_view text) {
  std::string out;
  for (char c : text.substr(0, kShownBytes)) {
    bool plain = c >= 0x20 && c < 0x7f && c != '"' && c != '\\';
    out += plain ? c : '?';
  }
  if (text.size() > kShownBytes) out += "...";
  return out;
}

}  // namespace holdfast
