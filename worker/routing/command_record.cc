#include "worker/routing/command_record.h"

#include <algorithm>
#include <cstring>

#include "base/bytes.h"
#include "base/fields.h"
#include "worker/channels/hub.h"
#include "worker/routing/records.h"

namespace holdfast {
namespace {

constexpr unsigned kBinary = 1, kMerge = 2, kSharded = 4, kUnkept = 8, kReverse = 16, kBegin = 32;
constexpr unsigned kFlagsOf0 = kBinary | kMerge,
                   kFlags = kFlagsOf0 | kSharded | kUnkept | kReverse | kBegin;
constexpr Op kLastOpOf0 = Op::list_users;
constexpr size_t kIdBytes = 2 * sizeof(uint64_t);

bool known(uint8_t op) {
  return op >= uint8_t(Op::send) && op <= uint8_t(kLastOp);
}
// What they are sent with stands at fixed places in every version.
bool is_send(Op op) {
  return op <= Op::publish;
}

void put_ids(ByteWriter& out, const std::vector<shm::SessionId>& ids) {
  out.put(uint32_t(ids.size()));
  for (const shm::SessionId& id : ids) {
    out.put(id.hi);
    out.put(id.lo);
  }
}

void put_strings(ByteWriter& out, const std::vector<std::string>& strings) {
  out.put(uint32_t(strings.size()));
  for (const std::string& s : strings) out.put_string(s);
}

// A count that the bytes left cannot hold is not believed: no memory is taken for it.
bool get_count(ByteReader& in, size_t item_bytes, size_t* count) {
  *count = in.get<uint32_t>();
  return in.ok() && *count <= in.left() / item_bytes;
}

bool get_ids(ByteReader& in, std::vector<shm::SessionId>* ids) {
  size_t count = 0;
  if (!get_count(in, kIdBytes, &count)) return false;
  ids->resize(count);
  for (shm::SessionId& id : *ids) {
    id.hi = in.get<uint64_t>();
    id.lo = in.get<uint64_t>();
  }
  return in.ok();
}

void put_pairs(ByteWriter& out, const std::vector<std::pair<std::string, std::string>>& pairs) {
  out.put(uint32_t(pairs.size()));
  for (const auto& [key, value] : pairs) {
    out.put_string(key);
    out.put_string(value);
  }
}

bool get_pairs(ByteReader& in, std::vector<std::pair<std::string, std::string>>* pairs) {
  size_t count = 0;
  if (!get_count(in, 2 * sizeof(uint32_t), &count)) return false;
  for (size_t i = 0; i < count && in.ok(); ++i) {
    std::string key(in.get_string());
    pairs->emplace_back(std::move(key), in.get_string());
  }
  return in.ok();
}

void put_page(ByteWriter& out, const Page& page, std::string_view letter) {
  out.put(page.limit);
  out.put(page.position);
  out.put_string(std::string(letter) + page.prefix);
  out.put_string(page.after.empty() ? std::string() : std::string(letter) + page.after);
}

void get_page(ByteReader& in, Page* page) {
  page->limit = in.get<uint32_t>();
  page->position = in.get<uint64_t>();
  page->prefix = in.get_string();
  page->after = in.get_string();
}

bool has_page(Op op) {
  return op == Op::list_members || op == Op::list_channels || op == Op::list_users;
}

bool get_strings(ByteReader& in, std::vector<std::string>* strings) {
  size_t count = 0;
  if (!get_count(in, sizeof(uint32_t), &count)) return false;
  strings->reserve(count);
  for (size_t i = 0; i < count && in.ok(); ++i) strings->emplace_back(in.get_string());
  return in.ok();
}

// ---- version 0

// Can it be written as 64a7ea7 does?
bool is_of_0(const Command& c) {
  return c.op <= kLastOpOf0 && !c.at.known() && c.answer_to == 0 && c.version == 0 && !c.unkept;
}

bool has_letter(NameKind kind) {
  return kind == NameKind::shard || kind == NameKind::pattern;
}

// Of names of another kind than channels', which are asked for; else "".
std::string_view letter_of(const Command& c) {
  if (c.op != Op::list_channels || c.channels.empty() || !has_letter(kind_of(c.channels.front())))
    return {};
  return std::string_view(c.channels.front()).substr(0, 1);
}

uint16_t word_of(const Command& c, std::string_view letter) {
  if (c.op == Op::publish) return c.sharded ? 1 : 0;
  if (c.op == Op::list_channels) return letter.empty() ? 0 : uint16_t(letter.front());
  return c.code;
}

bool take_off(std::string& name, char letter) {
  if (name.empty() || name.front() != letter) return false;
  name.erase(0, 1);
  return true;
}

bool take_kind(Command& c, uint16_t word) {
  if (word == 0) return letter_of(c).empty();
  if (word > uint8_t(NameKind::pattern) || !c.channels.empty()) return false;
  auto letter = char(word);
  c.channels.emplace_back(1, letter);
  if (!take_off(c.page.prefix, letter)) return false;
  return c.page.after.empty() || (take_off(c.page.after, letter) && !c.page.after.empty());
}

// False: 64a7ea7 writes no such word, and no later version.
bool take_word(Command& c, uint16_t word) {
  if (c.op == Op::list_channels) return take_kind(c, word);
  if (c.op != Op::publish) {
    c.code = word;
    return true;
  }
  c.sharded = word == 1;
  return word <= 1;
}

void encode_0(std::string& bytes, const Command& c, std::string_view payload) {
  ByteWriter out(bytes);
  std::string_view letter = letter_of(c);
  out.put(uint8_t(c.op));
  out.put(uint8_t((c.binary ? kBinary : 0u) | (c.merge ? kMerge : 0u)));
  out.put(word_of(c, letter));
  put_ids(out, c.sessions);
  put_ids(out, c.exclude);
  if (letter.empty())
    put_strings(out, c.channels);
  else
    out.put(uint32_t{0});
  put_strings(out, c.users);
  out.put_string(payload);
  out.put_string(c.reason);
  if (c.op == Op::data) put_pairs(out, c.pairs);
  if (has_page(c.op)) put_page(out, c.page, letter);
}

std::optional<Command> decode_0(std::string_view bytes) {
  ByteReader in(bytes);
  auto op = in.get<uint8_t>();
  auto flags = in.get<uint8_t>();
  auto word = in.get<uint16_t>();
  if (!known(op) || Op(op) > kLastOpOf0 || flags > kFlagsOf0) return {};
  Command c;
  c.op = Op(op);
  c.binary = (flags & kBinary) != 0;
  c.merge = (flags & kMerge) != 0;
  if (!get_ids(in, &c.sessions) || !get_ids(in, &c.exclude) || !get_strings(in, &c.channels) ||
      !get_strings(in, &c.users))
    return {};
  c.data = in.get_string();
  c.reason = in.get_string();
  if (c.op == Op::data && !get_pairs(in, &c.pairs)) return {};
  if (has_page(c.op)) get_page(in, &c.page);
  if (!in.ok() || !in.at_end() || !take_word(c, word)) return {};
  return c;
}

// ---- version 1

// Of a command, in the shape of their fields.
struct Apart {
  std::string sessions, exclude, data;
};

std::string bytes_of(const std::vector<shm::SessionId>& ids) {
  std::string bytes;
  ByteWriter out(bytes);
  for (const shm::SessionId& id : ids) {
    out.put(id.hi);
    out.put(id.lo);
  }
  return bytes;
}

bool ids_in(std::string_view bytes, std::vector<shm::SessionId>* ids) {
  ByteReader in(bytes);
  for (ids->clear(); in.left() >= kIdBytes;) {
    shm::SessionId& id = ids->emplace_back();
    id.hi = in.get<uint64_t>();
    id.lo = in.get<uint64_t>();
  }
  return in.at_end();
}

uint16_t flags_of(const Command& c) {
  return uint16_t((c.binary ? kBinary : 0u) | (c.merge ? kMerge : 0u) |
                  (c.sharded ? kSharded : 0u) | (c.unkept ? kUnkept : 0u) |
                  (c.reverse ? kReverse : 0u) | (c.begin ? kBegin : 0u));
}

template <class Archive, class C, class Others>
void fields_of(Archive& a, C& c, Others& apart, bool fixed_part) {
  a(1, c.code);
  if (!fixed_part) {
    a(2, apart.sessions);
    a(3, apart.exclude);
    a(4, c.channels);
    a(5, c.users);
    a(6, apart.data);
  }
  a(7, c.reason);
  a(8, c.pairs);
  a(9, c.page.limit);
  a(10, c.page.position);
  a(11, c.page.prefix);
  a(12, c.page.after);
  a(13, c.at.epoch);
  a(14, c.at.offset);
  a(15, c.answer_to);
  a(16, c.version);
}

void put_fields(std::string& bytes, const Command& c, std::string_view payload, bool fixed_part) {
  handover::Saver saver(bytes);
  Apart apart;
  if (!fixed_part) apart = {bytes_of(c.sessions), bytes_of(c.exclude), std::string(payload)};
  fields_of(saver, c, apart, fixed_part);
}

bool get_fields(std::string_view bytes, Command& c, bool fixed_part) {
  handover::Loader loader(bytes);
  Apart apart;
  fields_of(loader, c, apart, fixed_part);
  if (!loader.finish()) return false;
  if (fixed_part) return true;
  c.data = std::move(apart.data);
  return ids_in(apart.sessions, &c.sessions) && ids_in(apart.exclude, &c.exclude);
}

std::optional<Command> decode_versioned(std::string_view bytes) {
  ByteReader in(bytes);
  auto head = in.get<RecordHead>();
  if (!in.ok() || !understood(head, kFlags) || !known(head.op)) return {};
  Command c;
  c.op = Op(head.op);
  c.binary = (head.flags & kBinary) != 0;
  c.merge = (head.flags & kMerge) != 0;
  c.sharded = (head.flags & kSharded) != 0;
  c.unkept = (head.flags & kUnkept) != 0;
  c.reverse = (head.flags & kReverse) != 0;
  c.begin = (head.flags & kBegin) != 0;
  bool fixed_part = is_send(c.op);
  if (fixed_part) {
    if (!get_ids(in, &c.sessions) || !get_ids(in, &c.exclude) || !get_strings(in, &c.channels) ||
        !get_strings(in, &c.users))
      return {};
    c.data = in.get_string();
    if (!in.ok()) return {};
  }
  if (!get_fields(bytes.substr(bytes.size() - in.left()), c, fixed_part)) return {};
  return c;
}

}  // namespace

// ---- whichever it is

size_t Command::encoded_bytes() const {
  if (!is_of_0(*this)) return encode().size();
  size_t bytes = 4 + 6 * sizeof(uint32_t) + kIdBytes * (sessions.size() + exclude.size());
  std::string_view letter = letter_of(*this);
  if (op == Op::data) {
    bytes += sizeof(uint32_t);
    for (const auto& [key, value] : pairs)
      bytes += 2 * sizeof(uint32_t) + key.size() + value.size();
  }
  if (has_page(op)) {
    bytes += 3 * sizeof(uint32_t) + sizeof(uint64_t) + page.prefix.size() + page.after.size();
    bytes += letter.size() * (page.after.empty() ? 1 : 2);
  }
  if (letter.empty())
    for (const std::string& s : channels) bytes += sizeof(uint32_t) + s.size();
  for (const std::string& s : users) bytes += sizeof(uint32_t) + s.size();
  return bytes + data.size() + reason.size();
}

std::string Command::encode() const {
  std::string bytes;
  if (is_of_0(*this)) bytes.reserve(encoded_bytes());
  encode_to(bytes, data);
  return bytes;
}

void Command::encode_to(std::string& bytes, std::string_view payload) const {
  if (is_of_0(*this)) return encode_0(bytes, *this, payload);
  encode_versioned(bytes, *this, payload);
}

std::optional<Command> Command::decode(std::string_view bytes) {
  return record_version(bytes) == 0 ? decode_0(bytes) : decode_versioned(bytes);
}

void encode_versioned(std::string& bytes, const Command& c, std::string_view payload) {
  ByteWriter out(bytes);
  out.put(RecordHead{.op = uint8_t(c.op), .flags = flags_of(c)});
  bool fixed_part = is_send(c.op);
  if (fixed_part) {
    put_ids(out, c.sessions);
    put_ids(out, c.exclude);
    put_strings(out, c.channels);
    put_strings(out, c.users);
    out.put_string(payload);
  }
  put_fields(bytes, c, payload, fixed_part);
}

std::string comparable(const Command& c) {
  std::string bytes;
  if (is_of_0(c)) {
    bytes.reserve(c.encoded_bytes());
    encode_0(bytes, c, c.data);
  } else {
    ByteWriter(bytes).put(uint8_t(c.op));
    ByteWriter(bytes).put(flags_of(c));
    put_fields(bytes, c, c.data, false);
  }
  return bytes;
}

}  // namespace holdfast
