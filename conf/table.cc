#include "conf/table.h"

#include <fmt/format.h>

#include <algorithm>

#include "conf/units.h"

namespace holdfast::conf {

std::string_view kind_name(Node::Kind kind) {
  switch (kind) {
    case Node::Kind::boolean:
      return "a boolean";
    case Node::Kind::integer:
      return "an integer";
    case Node::Kind::floating:
      return "a floating-point number";
    case Node::Kind::string:
      return "a string";
    case Node::Kind::time:
      return "a date or time";
    case Node::Kind::array:
      return "an array";
    case Node::Kind::table:
      return "a table";
  }
  return "?";
}

const Member* Table::member(std::string_view key) {
  if (std::find(known_.begin(), known_.end(), key) == known_.end()) known_.push_back(key);
  for (const Member& member : node_->members) {
    if (member.key == key) return &member;
  }
  return nullptr;
}

const Node* Table::find(std::string_view key) {
  const Member* found = member(key);
  return found == nullptr ? nullptr : &found->value;
}

Place Table::place(std::string_view key) {
  const Node* value = find(key);
  return value == nullptr ? node_->place : value->place;
}

std::string Table::name(std::string_view key) const {
  return path_.empty() ? std::string(key) : fmt::format("{}.{}", path_, key);
}

void Table::wrong(std::string_view key, std::string_view what, std::string allowed) {
  const Node* value = find(key);
  if (value == nullptr) return report_->add(node_->place, name(key), std::string(what), allowed);
  report_->add(value->place, name(key), fmt::format("= {}: {}", value->written, what),
               std::move(allowed));
}

void Table::wrong_item(std::string_view key, size_t index, const Node& item, std::string_view what,
                       std::string allowed) {
  report_->add(item.place, fmt::format("{}[{}]", name(key), index),
               fmt::format("= {}: {}", item.written, what), std::move(allowed));
}

void Table::misplaced(std::string_view key, std::string_view what, std::string allowed) {
  const Member* found = member(key);
  if (found == nullptr) return;
  report_->add(found->key_place, name(key), std::string(what), std::move(allowed));
}

void Table::missing(std::string_view key, std::string allowed) {
  report_->add(place(key), name(key), "required, but missing", std::move(allowed));
}

void Table::finish() {
  for (const Member& member : node_->members) {
    if (std::find(known_.begin(), known_.end(), member.key) != known_.end()) continue;
    report_->add(member.key_place, name(member.key),
                 "unknown key" + did_you_mean(member.key, known_), join(known_));
  }
}

const Node* Table::find_kind(std::string_view key, Node::Kind kind, std::string_view wanted) {
  const Node* value = find(key);
  if (value == nullptr || value->kind == kind) return value;
  wrong(key, fmt::format("{}, not {}", kind_name(value->kind), kind_name(kind)),
        std::string(wanted));
  return nullptr;
}

std::optional<uint64_t> Table::integer_in(std::string_view key, Range range) {
  std::string allowed = range.min == range.max ? fmt::format("only {}", range.min)
                                               : fmt::format("{} to {}", range.min, range.max);
  const Node* value = find_kind(key, Node::Kind::integer, allowed);
  if (value == nullptr) return {};
  if (value->number < 0 || uint64_t(value->number) < range.min ||
      uint64_t(value->number) > range.max) {
    wrong(key, "out of range", allowed);
    return {};
  }
  return uint64_t(value->number);
}

bool Table::size(std::string_view key, size_t& out, Range bytes) {
  const Node* value = find(key);
  if (value == nullptr) return false;
  std::string allowed =
      fmt::format("{}, from {} to {}", kSizeForms, format_size(bytes.min), format_size(bytes.max));
  Quantity size;
  if (value->kind == Node::Kind::string) {
    size = parse_size(value->text);
    if (!size) size.error += size_hint(value->text);
  } else if (value->kind == Node::Kind::integer) {
    size = value->number < 0 ? Quantity{0, "out of range"} : Quantity{uint64_t(value->number), ""};
  } else {
    size.error = fmt::format("{}, not a size", kind_name(value->kind));
  }
  if (size && (size.value < bytes.min || size.value > bytes.max)) size.error = "out of range";
  if (size) out = size.value;
  if (!size) wrong(key, size.error, allowed);
  return bool(size);
}

bool Table::duration(std::string_view key, uint64_t& out_ms, Range ms) {
  const Node* value = find(key);
  if (value == nullptr) return false;
  std::string allowed = fmt::format("{}, from \"{}\" to \"{}\"", kDurationForms,
                                    format_duration(ms.min), format_duration(ms.max));
  Quantity duration;
  if (value->kind == Node::Kind::string) {
    duration = parse_duration(value->text);
    if (!duration) duration.error += duration_hint(value->text);
  } else if (value->kind == Node::Kind::integer) {
    duration.error = fmt::format("an integer without a unit, did you mean \"{}s\"?", value->number);
  } else {
    duration.error = fmt::format("{}, not a duration", kind_name(value->kind));
  }
  if (duration && (duration.value < ms.min || duration.value > ms.max)) {
    duration.error = "out of range";
  }
  if (duration) out_ms = duration.value;
  if (!duration) wrong(key, duration.error, allowed);
  return bool(duration);
}

bool Table::boolean(std::string_view key, bool& out) {
  const Node* value = find_kind(key, Node::Kind::boolean, "true, false");
  if (value != nullptr) out = value->flag;
  return value != nullptr;
}

bool Table::text(std::string_view key, std::string& out) {
  const Node* value = find_kind(key, Node::Kind::string, "a string");
  if (value != nullptr) out = value->text;
  return value != nullptr;
}

std::vector<const Node*> Table::texts(std::string_view key) {
  const Node* value = find_kind(key, Node::Kind::array, "an array of strings");
  std::vector<const Node*> out;
  if (value == nullptr) return out;
  for (size_t i = 0; i < value->items.size(); ++i) {
    const Node& item = value->items[i];
    if (item.kind == Node::Kind::string) {
      out.push_back(&item);
    } else {
      wrong_item(key, i, item, fmt::format("{}, not a string", kind_name(item.kind)), "a string");
    }
  }
  return out;
}

std::optional<Table> Table::table(std::string_view key, std::string_view form) {
  const Node* value = find_kind(key, Node::Kind::table, fmt::format("a table, written {}", form));
  if (value == nullptr) return {};
  return Table(*value, name(key), *report_);
}

std::vector<Table> Table::tables(std::string_view key, std::string_view form) {
  std::vector<Table> out;
  std::string wanted = fmt::format("an array of tables, written {}", form);
  const Node* value = find_kind(key, Node::Kind::array, wanted);
  if (value == nullptr) return out;
  for (size_t i = 0; i < value->items.size(); ++i) {
    const Node& item = value->items[i];
    if (item.kind == Node::Kind::table) {
      out.emplace_back(item, fmt::format("{}[{}]", name(key), i), *report_);
    } else {
      wrong_item(key, i, item, fmt::format("{}, not a table", kind_name(item.kind)), wanted);
    }
  }
  return out;
}

std::optional<size_t> Table::word_of(std::string_view key,
                                     const std::vector<std::string_view>& words,
                                     const std::vector<std::string_view>& later) {
  const Node* value = find_kind(key, Node::Kind::string, join(words, true));
  if (value == nullptr) return {};
  auto found = std::find(words.begin(), words.end(), value->text);
  if (found != words.end()) return size_t(found - words.begin());
  bool known = std::find(later.begin(), later.end(), value->text) != later.end();
  wrong(key,
        known ? "known, but not part of this version"
              : "unknown value" + did_you_mean(value->text, words),
        join(words, true));
  return {};
}

}  // namespace holdfast::conf
