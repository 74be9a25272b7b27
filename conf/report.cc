#include "conf/report.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>

namespace holdfast::conf {

std::string Problem::text() const {
  std::string out = file;
  if (line != 0) out += fmt::format(":{}:{}", line, column);
  out += ": ";
  if (!key.empty()) out += key + (what.starts_with("= ") ? " " : ": ");
  out += what;
  if (!allowed.empty()) out += "; allowed: " + allowed;
  return out;
}

namespace {

std::string on_one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = '?';
  }
  return text;
}

bool alike(char a, char b) {
  auto lower = [](char c) { return c >= 'A' && c <= 'Z' ? char(c - 'A' + 'a') : c; };
  return lower(a) == lower(b);
}

// Edit distance with swaps of neighbours ("optimal string alignment"); upper case is no slip. Three
// rows of the table suffice.
size_t slips_between(std::string_view a, std::string_view b) {
  std::vector<size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      size_t replaced = last[j - 1] + (alike(a[i - 1], b[j - 1]) ? 0 : 1);
      now[j] = std::min({replaced, last[j] + 1, now[j - 1] + 1});
      bool swapped = i > 1 && j > 1 && alike(a[i - 1], b[j - 2]) && alike(a[i - 2], b[j - 1]);
      if (swapped) now[j] = std::min(now[j], before[j - 2] + 1);
    }
    std::swap(before, last);
    std::swap(last, now);
  }
  return last[b.size()];
}

}  // namespace

void Report::add(Place place, std::string key, std::string what, std::string allowed) {
  problems_.push_back({file_, place.line, place.column, on_one_line(std::move(key)),
                       on_one_line(std::move(what)), on_one_line(std::move(allowed))});
}

std::vector<Problem> Report::take() {
  std::stable_sort(problems_.begin(), problems_.end(), [](const Problem& a, const Problem& b) {
    return a.line != b.line ? a.line < b.line : a.column < b.column;
  });
  return std::move(problems_);
}

std::string_view nearest(std::string_view text, const std::vector<std::string_view>& candidates) {
  constexpr size_t kLongestWorthAGuess = 64;  // the time grows with the product of the lengths
  if (text.empty() || text.size() > kLongestWorthAGuess) return {};
  std::string_view best;
  size_t best_slips = text.size() <= 3 ? 2 : 3;
  for (std::string_view candidate : candidates) {
    size_t slips = slips_between(text, candidate);
    if (slips < best_slips && slips < candidate.size()) {
      best = candidate;
      best_slips = slips;
    }
  }
  if (!best.empty() || text.size() < 3) return best;
  // "timeout" and "max_message" are whole words of something longer: the first such key will do.
  for (std::string_view candidate : candidates) {
    bool part = candidate.starts_with(text) || candidate.ends_with(text);
    bool whole =
        candidate.size() >= 3 && (text.starts_with(candidate) || text.ends_with(candidate));
    if (part || whole) return candidate;
  }
  return {};
}

std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates) {
  std::string_view near = nearest(text, candidates);
  return near.empty() ? "" : fmt::format(", did you mean \"{}\"?", near);
}

std::string join(const std::vector<std::string_view>& words, bool quoted) {
  std::string out;
  for (std::string_view word : words) {
    if (!out.empty()) out += ", ";
    out += quoted ? fmt::format("\"{}\"", word) : std::string(word);
  }
  return out;
}

}  // namespace holdfast::conf
