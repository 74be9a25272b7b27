#include "ctl/table.h"

#include <algorithm>
#include <numeric>

#include "base/check.h"
#include "ctl/units.h"

namespace holdfast::ctl {
namespace {

constexpr size_t kGap = 2;

size_t total(const std::vector<size_t>& widths) {
  size_t gaps = widths.empty() ? 0 : (widths.size() - 1) * kGap;
  return std::accumulate(widths.begin(), widths.end(), gaps);
}

}  // namespace

void Table::row(std::vector<std::string> cells) {
  HF_CHECK(cells.size() == columns_.size());
  for (size_t c = 0; c < cells.size(); ++c)
    widest_[c] = std::max(widest_[c], display_width(cells[c]));
  rows_.push_back(std::move(cells));
}

std::vector<size_t> Table::fit(size_t width) {
  std::vector<size_t> wanted;
  for (size_t c = 0; c < columns_.size(); ++c)
    wanted.push_back(std::max(widest_[c], display_width(columns_[c].heading)));
  // Once the heading is printed, the columns are settled.
  for (shown_ = headed_ ? shown_ : columns_.size();; --shown_) {
    std::vector<size_t> widths(wanted.begin(), wanted.begin() + std::ptrdiff_t(shown_));
    for (size_t c = shown_; width != 0 && c-- > 0 && total(widths) > width;) {
      size_t excess = total(widths) - width, narrowest = columns_[c].narrowest;
      if (narrowest == 0 || widths[c] <= narrowest) continue;
      widths[c] -= std::min(excess, widths[c] - narrowest);
    }
    if (width == 0 || total(widths) <= width || shown_ == 1 || headed_) return widths;
  }
}

std::string Table::line(const std::vector<std::string>& cells,
                        const std::vector<size_t>& widths) const {
  std::string out;
  for (size_t c = 0; c < widths.size(); ++c) {
    std::string cell = columns_[c].narrowest == 0 ? cells[c] : cut_to_width(cells[c], widths[c]);
    size_t width = display_width(cell);
    std::string blanks(widths[c] > width ? widths[c] - width : 0, ' ');
    if (c > 0) out.append(kGap, ' ');
    if (columns_[c].align == Align::right) out += blanks;
    out += cell;
    if (columns_[c].align == Align::left) out += blanks;
  }
  out.erase(out.find_last_not_of(' ') + 1);
  return out;
}

std::string Table::text(const Style& style) {
  std::vector<size_t> widths = fit(style.width);
  std::string out;
  if (!headed_) {
    std::vector<std::string> headings;
    for (const Column& column : columns_) headings.push_back(column.heading);
    std::string head = line(headings, widths);
    out = style.colour ? "\033[1m" + head + "\033[0m\n" : head + "\n";
  }
  for (const auto& cells : rows_) out += line(cells, widths) + "\n";
  return out;
}

std::string Table::page(const Style& style) {
  std::string out = text(style);
  headed_ = true;
  rows_.clear();
  return out;
}

std::string Table::left_out() const {
  std::string names;
  for (size_t c = shown_; c < columns_.size(); ++c)
    names += (names.empty() ? "" : ", ") + columns_[c].heading;
  return names;
}

std::string name_value_lines(const std::vector<std::pair<std::string, std::string>>& lines) {
  size_t width = 0;
  for (const auto& [name, value] : lines) width = std::max(width, display_width(name));
  std::string out;
  for (const auto& [name, value] : lines) {
    out.append(name).append(width - display_width(name) + 2, ' ');
    out.append(value).append("\n");
  }
  return out;
}

}  // namespace holdfast::ctl
