// conf/report.h - collects the problems of one file. Private to conf/.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "conf/load.h"
#include "conf/node.h"

namespace holdfast::conf {

class Report {
 public:
  explicit Report(std::string file) : file_(std::move(file)) {}

  // `what` starts with "= WRITTEN: " if a value was found, see Problem::text(). Control
  // characters become '?': a problem is always one line.
  void add(Place place, std::string key, std::string what, std::string allowed);
  bool empty() const { return problems_.empty(); }
  // All of them in file order. Those of one place keep the order they were found in.
  std::vector<Problem> take();

 private:
  std::string file_;
  std::vector<Problem> problems_;
};

// The candidate that `text` most likely meant: at most two slips away (one for words of three
// letters or less; a swap of neighbours is one slip), or one that only lacks an end. "" if
// nothing is near.
std::string_view nearest(std::string_view text, const std::vector<std::string_view>& candidates);
// ", did you mean \"X\"?" or "".
std::string did_you_mean(std::string_view text, const std::vector<std::string_view>& candidates);
// "a, b, c"; with quotes: "\"a\", \"b\"".
std::string join(const std::vector<std::string_view>& words, bool quoted = false);

}  // namespace holdfast::conf
