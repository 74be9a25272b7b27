// wire/resp/line_words.h - the words of a line as somebody types it, with quotes, by the rules of
// Redis and redis-cli.
//
//   plain        a word ends at white space; a quote inside it begins a quoted part of the same word
//   "quoted"     \xHH, \n, \r, \t, \b, \a; a backslash before anything else stands for that
//   'quoted'     \' only
// After a closing quote must come white space, or the end.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::resp {

class LineWords {
 public:
  explicit LineWords(std::string_view line) : rest_(line) { skip_space(); }
  bool at_end() const { return rest_.empty(); }
  // Appends the next word. False: its quotes do not match.
  bool take(std::string* out);

 private:
  void skip_space();
  bool take_quoted(char quote, std::string* out);
  void take_escape(std::string* out);

  std::string_view rest_;
};

}  // namespace holdfast::resp
