// worker/routing/command_record.cc - names that may be used, and a Command as bytes for another worker.
//
// Encoded, native byte order (ByteWriter):
//   op u8 | flags u8 (1 binary, 2 merge, 4 sharded) | code u16 | sessions: u32 n, n x 16 | exclude: likewise |
//   channels: u32 n, n x (u32 len, bytes) | users: likewise | data: u32 len, bytes | reason: likewise |
//   pairs: u32 n, n x (u32 len, bytes; u32 len, bytes) | page: limit u32, position u64, prefix, after
// pairs only for Op::data, page only for the lists: a push is sent far more often.
#include "worker/routing/command.h"

#include <simdjson.h>

#include "base/bytes.h"
#include "base/names.h"
#include "shm/session_directory.h"

namespace holdfast {
namespace {

constexpr unsigned kBinary = 1, kMerge = 2, kSharded = 4;

bool valid_name(std::string_view name, size_t max_bytes) {
  return !name.empty() && name.size() <= max_bytes &&
         simdjson::validate_utf8(name.data(), name.size()) && !has_control_character(name);
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
  if (!get_count(in, 2 * sizeof(uint64_t), &count)) return false;
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

void put_page(ByteWriter& out, const Page& page) {
  out.put(page.limit);
  out.put(page.position);
  out.put_string(page.prefix);
  out.put_string(page.after);
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

}  // namespace

bool valid_channel(std::string_view name) {
  return valid_name(name, kMaxChannelBytes);
}
bool valid_user(std::string_view name) {
  return valid_name(name, shm::kMaxUserBytes);
}

bool changes_state(Op op) {
  return op >= Op::join && op <= Op::data;
}

size_t Command::encoded_bytes() const {
  size_t bytes = 4 + 6 * sizeof(uint32_t) + 16 * (sessions.size() + exclude.size());
  if (op == Op::data) {
    bytes += sizeof(uint32_t);
    for (const auto& [key, value] : pairs)
      bytes += 2 * sizeof(uint32_t) + key.size() + value.size();
  }
  if (has_page(op))
    bytes += 3 * sizeof(uint32_t) + sizeof(uint64_t) + page.prefix.size() + page.after.size();
  for (const std::string& s : channels) bytes += sizeof(uint32_t) + s.size();
  for (const std::string& s : users) bytes += sizeof(uint32_t) + s.size();
  return bytes + data.size() + reason.size();
}

std::string Command::encode() const {
  std::string bytes;
  bytes.reserve(encoded_bytes());
  encode_to(bytes, data);
  return bytes;
}

void Command::encode_to(std::string& bytes, std::string_view payload) const {
  ByteWriter out(bytes);
  out.put(uint8_t(op));
  out.put(uint8_t((binary ? kBinary : 0u) | (merge ? kMerge : 0u) | (sharded ? kSharded : 0u)));
  out.put(code);
  put_ids(out, sessions);
  put_ids(out, exclude);
  put_strings(out, channels);
  put_strings(out, users);
  out.put_string(payload);
  out.put_string(reason);
  if (op == Op::data) put_pairs(out, pairs);
  if (has_page(op)) put_page(out, page);
}

std::optional<Command> Command::decode(std::string_view bytes) {
  ByteReader in(bytes);
  auto op = in.get<uint8_t>();
  auto flags = in.get<uint8_t>();
  if (op < uint8_t(Op::send) || op > uint8_t(kLastOp) || flags > (kBinary | kMerge | kSharded))
    return {};
  Command c;
  c.op = Op(op);
  c.binary = (flags & kBinary) != 0;
  c.merge = (flags & kMerge) != 0;
  c.sharded = (flags & kSharded) != 0;
  c.code = in.get<uint16_t>();
  if (!get_ids(in, &c.sessions) || !get_ids(in, &c.exclude) || !get_strings(in, &c.channels) ||
      !get_strings(in, &c.users))
    return {};
  c.data = in.get_string();
  c.reason = in.get_string();
  if (c.op == Op::data && !get_pairs(in, &c.pairs)) return {};
  if (has_page(c.op)) get_page(in, &c.page);
  if (!in.ok() || !in.at_end()) return {};
  return c;
}

}  // namespace holdfast
