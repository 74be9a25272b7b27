// conf/table.h - one TOML table read strictly: every key has a type, a range and a use, or is a
// problem.
//
// A reader method leaves `out` (the default) alone if its key is missing or wrong, and its answer
// tells whether it stored something. Every problem goes to the Report; reading goes on, so one run
// finds all. Asking for a key makes it known; finish() reports the keys that nobody asked for.
// Private to conf/.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "conf/node.h"
#include "conf/report.h"

namespace holdfast::conf {

struct Range {
  uint64_t min;
  uint64_t max;
};

class Table {
 public:
  // `path` is the table's name in messages: "limits", "listen[0]"; "" for the document.
  Table(const Node& node, std::string path, Report& report)
      : node_(&node), path_(std::move(path)), report_(&report) {}

  template <class T>
  bool number(std::string_view key, T& out, Range range) {
    std::optional<uint64_t> value = integer_in(key, range);
    if (value) out = static_cast<T>(*value);
    return value.has_value();
  }
  bool size(std::string_view key, size_t& out, Range bytes);
  bool duration(std::string_view key, uint64_t& out_ms, Range ms);
  bool boolean(std::string_view key, bool& out);
  bool text(std::string_view key, std::string& out);
  // An array of strings. Its nodes, for checks of the single ones; empty if missing or wrong.
  std::vector<const Node*> texts(std::string_view key);
  // One of the words of `now`. A word of `later` is one the interface names but this version lacks.
  template <class E>
  bool choice(std::string_view key, E& out, const std::vector<std::pair<std::string_view, E>>& now,
              const std::vector<std::string_view>& later = {}) {
    std::vector<std::string_view> words;
    words.reserve(now.size());
    for (const auto& [word, value] : now) words.push_back(word);
    std::optional<size_t> index = word_of(key, words, later);
    if (index) out = now[*index].second;
    return index.has_value();
  }
  // `form` is how to write it: "[server]", "framing = { ... }".
  std::optional<Table> table(std::string_view key, std::string_view form);
  // An array of tables; `form` is how to write it: "[[listen]]".
  std::vector<Table> tables(std::string_view key, std::string_view form);
  // The members of this table, for tables whose keys are names.
  const std::vector<Member>& members() const { return node_->members; }

  // The value of a key, or nullptr. Makes it known.
  const Node* find(std::string_view key);
  bool has(std::string_view key) { return find(key) != nullptr; }
  // Of the key's value; if it is missing, of the table.
  Place place(std::string_view key);
  std::string name(std::string_view key) const;
  const std::string& path() const { return path_; }

  // Reports the value of a key; a key that is there but must not be; a key that is missing.
  void wrong(std::string_view key, std::string_view what, std::string allowed);
  void misplaced(std::string_view key, std::string_view what, std::string allowed);
  void missing(std::string_view key, std::string allowed);
  // The same for one element of an array of `key`.
  void wrong_item(std::string_view key, size_t index, const Node& item, std::string_view what,
                  std::string allowed);
  void finish();

 private:
  const Member* member(std::string_view key);
  const Node* find_kind(std::string_view key, Node::Kind kind, std::string_view wanted);
  std::optional<uint64_t> integer_in(std::string_view key, Range range);
  std::optional<size_t> word_of(std::string_view key, const std::vector<std::string_view>& words,
                                const std::vector<std::string_view>& later);

  const Node* node_;
  std::string path_;
  Report* report_;
  std::vector<std::string_view> known_;  // literals of the callers
};

std::string_view kind_name(Node::Kind kind);

}  // namespace holdfast::conf
