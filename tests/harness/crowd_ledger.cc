#include "tests/harness/crowd_ledger.h"

#include <algorithm>
#include <charconv>

namespace holdfast::test {
namespace {

constexpr size_t kMostMissed = 1000;
constexpr size_t kAlphabet = 26;

// Two alphabets behind one another would do for the offset; more make comparing large fills cheap.
const std::string& fill_pattern() {
  static const std::string pattern = [] {
    std::string letters;
    for (size_t i = 0; i < kAlphabet * 160; ++i) letters += char('a' + i % kAlphabet);
    return letters;
  }();
  return pattern;
}

// Calls f with the pieces that the fill of message `number` consists of.
template <class F>
bool each_piece(uint32_t number, size_t bytes, F&& f) {
  size_t offset = number % kAlphabet, most = fill_pattern().size() - kAlphabet;
  for (size_t done = 0; done < bytes; done += most)
    if (!f(std::string_view(fill_pattern()).substr(offset, std::min(most, bytes - done))))
      return false;
  return true;
}

}  // namespace

void Violations::add(Violation violation) {
  ++count_;
  if (kept_.size() < kKept) kept_.push_back(std::move(violation));
}

std::string Violations::text(size_t lines) const {
  std::string out;
  for (size_t i = 0; i < std::min(lines, kept_.size()); ++i) out += kept_[i].text() + "\n";
  if (count_ > lines) out += "and " + std::to_string(count_ - lines) + " more\n";
  return out;
}

std::string to_text(const Numbered& message) {
  std::string text = "@" + std::to_string(message.stream) + "." + std::to_string(message.number) +
                     "." + std::to_string(message.serial) + "." + std::to_string(message.fill) +
                     "@";
  each_piece(message.number, message.fill, [&](std::string_view piece) {
    text.append(piece);
    return true;
  });
  return text;
}

std::optional<Numbered> from_text(std::string_view text) {
  if (!text.starts_with('@')) return {};
  size_t fields[4] = {};
  const char *at = text.data() + 1, *end = text.data() + text.size();
  for (size_t i = 0; i < 4; ++i) {
    auto [stop, error] = std::from_chars(at, end, fields[i]);
    if (error != std::errc{} || stop == end || *stop != (i < 3 ? '.' : '@')) return {};
    at = stop + 1;
  }
  Numbered message{uint32_t(fields[0]), uint32_t(fields[1]), uint32_t(fields[2]), fields[3]};
  std::string_view fill(at, size_t(end - at));
  if (fill.size() != message.fill) return {};
  bool whole = each_piece(message.number, message.fill, [&](std::string_view piece) {
    bool same = fill.substr(0, piece.size()) == piece;
    fill.remove_prefix(piece.size());
    return same;
  });
  return whole ? std::optional(message) : std::nullopt;
}

uint32_t Ledger::add_party(std::string name) {
  parties_.emplace_back().name = std::move(name);
  return uint32_t(parties_.size() - 1);
}

uint32_t Ledger::group(const std::string& name) {
  auto [found, fresh] = group_ids_.emplace(name, uint32_t(groups_.size()));
  if (fresh) groups_.push_back({name, {}, {}});
  return found->second;
}

uint32_t Ledger::open_stream(uint32_t sender, uint32_t group) {
  auto id = uint32_t(streams_.size());
  streams_.push_back({sender, group});
  parties_[sender].streams.push_back(id);
  groups_[group].streams.push_back(id);
  for (uint32_t member : groups_[group].members) parties_[member].seen[id].from = 0;
  if (parties_[sender].admitted.contains(group)) parties_[sender].seen[id].from = 0;
  return id;
}

Numbered Ledger::next(uint32_t stream) {
  Stream& from = streams_[stream];
  return {stream, from.sent++, parties_[from.sender].serial++, 0};
}

void Ledger::end_stream(uint32_t stream) {
  std::erase(groups_[streams_[stream].group].streams, stream);
}

void Ledger::end_sender(uint32_t sender) {
  for (uint32_t id : parties_[sender].streams) end_stream(id);
}

void Ledger::enter(uint32_t receiver, uint32_t group) {
  Party& party = parties_[receiver];
  if (std::find(party.groups.begin(), party.groups.end(), group) != party.groups.end()) return;
  party.admitted.insert(group);
  party.groups.push_back(group);
  groups_[group].members.push_back(receiver);
  for (uint32_t id : groups_[group].streams) {
    auto [seen, fresh] = party.seen.try_emplace(id);
    if (fresh || (!seen->second.any && seen->second.from == UINT32_MAX))
      seen->second.from = streams_[id].sent;
  }
}

void Ledger::leave(uint32_t receiver) {
  for (uint32_t group : parties_[receiver].groups) std::erase(groups_[group].members, receiver);
  parties_[receiver].groups.clear();
}

std::optional<Numbered> Ledger::receive(uint32_t receiver, std::string_view text) {
  Party& to = parties_[receiver];
  std::optional<Numbered> message = from_text(text);
  if (!message || message->stream >= streams_.size() ||
      message->number >= streams_[message->stream].sent) {
    violations_.add({to.name, "a numbered message as it was sent",
                     "\"" + std::string(text.substr(0, 80)) + "\" of " +
                         std::to_string(text.size()) + " bytes"});
    return {};
  }
  const Stream& stream = streams_[message->stream];
  if (!to.admitted.contains(stream.group)) {
    violations_.add({to.name, "nothing", describe(message->stream, message->number)});
    return message;
  }
  check_number(to, to.seen[message->stream], *message);
  return message;
}

void Ledger::check_number(const Party& to, Seen& seen, const Numbered& message) {
  std::string came = describe(message.stream, message.number);
  uint32_t wanted = seen.any ? seen.next : seen.from;
  if (seen.any ? message.number == wanted : message.number <= wanted) {
    seen.any = true;
    seen.next = message.number + 1;
    uint32_t& least =
        parties_[size_t(&to - parties_.data())].serials[streams_[message.stream].sender];
    if (message.serial < least)
      violations_.add({to.name, "serial " + std::to_string(least) + " or later (order)",
                       came + " with serial " + std::to_string(message.serial)});
    least = std::max(least, message.serial + 1);
    return;
  }
  std::string expected = describe(message.stream, wanted);
  if (message.number > wanted) {
    violations_.add({to.name, expected, came + ": a gap"});
    for (uint32_t n = wanted; n < message.number && seen.missed.size() < kMostMissed; ++n)
      seen.missed.push_back(n);
    seen.any = true;
    seen.next = message.number + 1;
  } else if (std::erase(seen.missed, message.number) > 0) {
    violations_.add({to.name, expected, came + ": out of order"});
  } else {
    violations_.add({to.name, expected, came + ": a duplicate"});
  }
}

bool Ledger::is_owed(const Stream& stream, uint32_t id, const Party& to) const {
  auto found = to.seen.find(id);
  if (found == to.seen.end()) return stream.sent > 0;
  const Seen& seen = found->second;
  return seen.any ? seen.next < stream.sent : seen.from < stream.sent;
}

bool Ledger::complete() const {
  for (const Group& group : groups_)
    for (uint32_t id : group.streams)
      for (uint32_t member : group.members)
        if (is_owed(streams_[id], id, parties_[member])) return false;
  return true;
}

void Ledger::report_missing() {
  for (const Group& group : groups_)
    for (uint32_t id : group.streams)
      for (uint32_t member : group.members) {
        const Party& to = parties_[member];
        if (!is_owed(streams_[id], id, to)) continue;
        auto found = to.seen.find(id);
        uint32_t wanted = found == to.seen.end() ? 0
                          : found->second.any    ? found->second.next
                                                 : found->second.from;
        violations_.add(
            {to.name, describe(id, wanted),
             "nothing up to number " + std::to_string(streams_[id].sent - 1) +
                 (found != to.seen.end() && !found->second.any ? ", the first since it was there"
                                                               : "")});
      }
}

std::string Ledger::describe(uint32_t stream, uint32_t number) const {
  const Stream& from = streams_[stream];
  return "number " + std::to_string(number) + " of " + parties_[from.sender].name + " to " +
         groups_[from.group].name;
}

}  // namespace holdfast::test
