// The door to toml11: the one file that includes it, and the one that meets its exceptions.
#include "conf/load.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <new>
#include <sstream>
#include <toml.hpp>

#include "conf/files.h"
#include "conf/hints.h"
#include "conf/prescan.h"
#include "conf/read.h"
#include "conf/units.h"

namespace holdfast::conf {

namespace {

// Also bounds the time: toml11 counts lines from the start of the file for every value's place.
constexpr size_t kMaxFile = 128 * kKiB;
constexpr size_t kMaxWritten = 60;

std::string_view trim_end(std::string_view text) {
  size_t last = text.find_last_not_of(" \t\r");
  return last == text.npos ? std::string_view() : text.substr(0, last + 1);
}

// As in the file, one line of it at most.
std::string written_form(const toml::source_location& at, Node::Kind kind) {
  const std::string& line = at.line_str();
  std::string_view text = line;
  text = text.substr(std::min<size_t>(at.column() - 1, line.size()));
  bool header = kind == Node::Kind::table && text.starts_with('[');
  if (header) return "[...]";
  bool cut = at.region() > text.size();
  text = trim_end(text.substr(0, at.region()));
  if (text.size() > kMaxWritten) {
    size_t end = kMaxWritten;
    while (end > 0 && (text[end] & 0xc0) == 0x80) --end;  // not inside a UTF-8 sequence
    text = text.substr(0, end);
    cut = true;
  }
  return std::string(text) + (cut ? "..." : "");
}

// toml11 does not keep the places of keys; but the key of `KEY = value` stands in the value's line,
// left of it.
Place key_place(const toml::source_location& value) {
  Place place{value.line(), value.column()};
  std::string_view before = value.line_str();
  before = trim_end(before.substr(0, std::min<size_t>(value.column() - 1, before.size())));
  if (!before.ends_with('=')) return place;  // a [header]: the value's place is the key's
  before = trim_end(before.substr(0, before.size() - 1));
  if (before.empty()) return place;
  char last = before.back();
  size_t first;
  if (last == '"' || last == '\'') {
    first = before.substr(0, before.size() - 1).rfind(last);
  } else {
    size_t stop = before.find_last_of(" \t.{,\"'");
    first = stop == before.npos ? 0 : stop + 1;
  }
  if (first != before.npos) place.column = unsigned(first + 1);
  return place;
}

Node::Kind kind_of(const toml::value& value) {
  switch (value.type()) {
    case toml::value_t::boolean:
      return Node::Kind::boolean;
    case toml::value_t::integer:
      return Node::Kind::integer;
    case toml::value_t::floating:
      return Node::Kind::floating;
    case toml::value_t::string:
      return Node::Kind::string;
    case toml::value_t::array:
      return Node::Kind::array;
    case toml::value_t::table:
      return Node::Kind::table;
    default:
      return Node::Kind::time;
  }
}

// Recursion is bounded by prescan().
Node to_node(const toml::value& value) {
  Node node;
  const toml::source_location at = value.location();
  node.kind = kind_of(value);
  node.place = {at.line(), at.column()};
  node.written = written_form(at, node.kind);
  if (value.is_boolean()) node.flag = value.as_boolean();
  if (value.is_integer()) node.number = value.as_integer();
  if (value.is_string()) node.text = value.as_string().str;
  if (value.is_array()) {
    for (const toml::value& item : value.as_array()) node.items.push_back(to_node(item));
  }
  if (value.is_table()) {
    for (const auto& [key, member] : value.as_table()) {
      node.members.push_back({key, key_place(member.location()), to_node(member)});
    }
  }
  return node;
}

// One "NN | source line" of toml11's message with the comment below it.
struct Underlined {
  Place place;
  std::string comment;
};

std::optional<Underlined> underlined(std::string_view source, std::string_view mark) {
  size_t bar = source.find(" | ");
  size_t under = mark.find_first_of("^~");
  if (bar == source.npos || under == mark.npos || under < bar + 3) return {};
  std::string_view number = source.substr(0, bar);
  number.remove_prefix(std::min(number.find_first_not_of(' '), number.size()));
  unsigned line = 0;
  auto [end, code] = std::from_chars(number.data(), number.data() + number.size(), line);
  if (code != std::errc() || end != number.data() + number.size()) return {};
  std::string_view comment = mark.substr(under);
  comment.remove_prefix(std::min(comment.find_first_not_of("^~- "), comment.size()));
  return Underlined{{line, unsigned(under - bar - 2)}, std::string(comment)};
}

std::vector<std::string_view> lines_of(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    size_t end = std::min(text.find('\n'), text.size());
    lines.push_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return lines;
}

// The place an exception carries is where the parser stood when it gave up, often the start of the
// line; the places drawn in its message are exact. The last one is the culprit ("defined twice"),
// the first one context.
void add_syntax_error(Report& report, std::string_view text, const toml::exception& error) {
  std::vector<std::string_view> lines = lines_of(error.what());
  std::vector<Underlined> marks;
  for (size_t i = 0; i + 1 < lines.size(); ++i) {
    if (auto mark = underlined(lines[i], lines[i + 1])) marks.push_back(std::move(*mark));
  }
  std::string_view title = lines.empty() ? "" : lines[0];
  if (title.starts_with("[error] ")) title.remove_prefix(8);
  if (title.starts_with("toml::")) title.remove_prefix(std::min(title.find(' '), title.size()));
  title.remove_prefix(std::min(title.find_first_not_of(' '), title.size()));
  while (title.ends_with('.')) title.remove_suffix(1);

  std::string what = "syntax error" + (title.empty() ? "" : ": " + std::string(title));
  Place place{error.location().line(), error.location().column()};
  if (!marks.empty()) {
    place = marks.back().place;
    what += ": " + marks.back().comment;
    while (what.ends_with('.')) what.pop_back();
  }
  std::vector<std::string_view> source = lines_of(text);
  if (place.line > 0 && place.line <= source.size()) what += quotes_hint(source[place.line - 1]);
  if (marks.size() > 1 && marks.front().place.line != place.line) {
    what += fmt::format(" (see line {})", marks.front().place.line);
  }
  // The library puts a line's end behind a text without one, and may point behind that.
  Place end{1 + unsigned(std::count(text.begin(), text.end(), '\n')),
            unsigned(text.size() - (text.rfind('\n') + 1) + 1)};
  report.add(place.line > end.line ? end : place, "", what, "TOML 1.0");
}

// Empty where a problem was reported.
std::optional<Node> parse(std::string_view text, Report& report) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  if (text.size() > kMaxFile) {
    report.add({}, "", "the file is too large", "at most " + format_size(kMaxFile));
    return {};
  }
  if (auto objection = prescan(text)) {
    report.add(objection->place, "", objection->what, objection->allowed);
    return {};
  }
  try {
    std::istringstream in{std::string(text)};
    return to_node(toml::parse(in, "configuration"));
  } catch (const toml::exception& error) {
    add_syntax_error(report, text, error);
  } catch (const std::bad_alloc&) {
    std::terminate();  // as everywhere in Holdfast
  } catch (const std::exception& error) {
    report.add({}, "", fmt::format("cannot be parsed: {}", error.what()), "TOML 1.0");
  }
  return {};
}

std::string absolute(const std::string& path) {
  std::error_code ignored;  // without a current directory the path stays as it is
  std::filesystem::path full = std::filesystem::absolute(path, ignored);
  return (full.empty() ? std::filesystem::path(path) : full).lexically_normal();
}

void read_document(const Node& document, Reading& reading) {
  Table root(document, "", reading.report);
  read_server(root, reading);
  read_log(root, reading);
  read_limits(root, reading);
  read_backends(root, reading);
  read_listens(root, reading);
  read_apis(root, reading);
  read_channel_rules(root, reading);
  check_bound_once(reading);
  root.finish();
}

}  // namespace

Loaded load_text(std::string_view toml, const std::string& path, Machine machine) {
  Loaded loaded;
  loaded.config.file = absolute(path);
  Report report(path);
  if (std::optional<Node> document = parse(toml, report)) {
    Reading reading{loaded.config,
                    report,
                    std::filesystem::path(loaded.config.file).parent_path(),
                    machine,
                    {}};
    read_document(*document, reading);
  }
  loaded.problems = report.take();
  return loaded;
}

Loaded load_file(const std::string& path, Machine machine) {
  Result<WholeFile> file = read_whole(path, kMaxFile);
  if (file) return load_text(file->text, path, machine);
  Loaded loaded;
  loaded.config.file = absolute(path);
  Report report(path);
  report.add({}, "", file.error().text(),
             "a readable TOML file of at most " + format_size(kMaxFile));
  loaded.problems = report.take();
  return loaded;
}

}  // namespace holdfast::conf
