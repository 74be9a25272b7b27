#include "worker/routing/result_record.h"

#include <algorithm>
#include <iterator>

#include "base/bytes.h"

namespace holdfast {
namespace {

constexpr unsigned kPartial = 1, kMore = 2, kSession = 4;
enum Tag : uint8_t { kName = 1, kMember = 2, kChannel = 3, kPair = 4, kUnknown = 5 };

// Collects items and begins a new record where the last one is full.
class Records {
 public:
  Records(uint64_t token, size_t max_bytes) : token_(token), max_bytes_(max_bytes) { begin(); }

  template <class Put>
  void item(Tag tag, Put&& put) {
    item_.clear();
    ByteWriter out(item_);
    out.put(uint8_t(tag));
    put(out);
    if (has_items_ && records_.back().size() + item_.size() > max_bytes_) begin();
    records_.back() += item_;
    has_items_ = true;
  }

  std::vector<std::string> finish(const CommandResult& result) {
    std::string& last = records_.back();
    std::string items = last.substr(kHeadBytes);
    last.clear();
    ByteWriter out(last);
    out.put(token_);
    out.put(uint8_t{1});
    out.put(uint8_t((result.partial ? kPartial : 0u) | (result.more ? kMore : 0u) |
                    (result.session ? kSession : 0u)));
    for (uint64_t number : {result.delivered, result.refused, result.members, result.subscribers})
      out.put(number);
    last += items;
    return std::move(records_);
  }

 private:
  static constexpr size_t kHeadBytes = 8 + 1 + 1 + 4 * 8;
  void begin() {
    ByteWriter out(records_.emplace_back());
    out.put(token_);
    out.put(uint8_t{0});
    out.put(uint8_t{0});
    for (int i = 0; i < 4; ++i) out.put(uint64_t{0});
    has_items_ = false;
  }

  uint64_t token_;
  size_t max_bytes_;
  std::vector<std::string> records_;
  std::string item_;
  bool has_items_ = false;
};

bool read_item(ByteReader& in, CommandResult& result) {
  switch (in.get<uint8_t>()) {
    case kName: {
      NameCount count;
      count.name = in.get_string();
      count.members = in.get<uint64_t>();
      count.subscribers = in.get<uint64_t>();
      count.published = in.get<uint64_t>();
      if (in.ok()) result.names.push_back(std::move(count));
      return in.ok();
    }
    case kMember: {
      MemberView view;
      view.position = in.get<uint64_t>();
      view.id.hi = in.get<uint64_t>();
      view.id.lo = in.get<uint64_t>();
      view.user = in.get_string();
      if (in.ok()) result.listed.push_back(std::move(view));
      return in.ok();
    }
    case kChannel: {
      std::string name(in.get_string());
      if (!in.ok()) return false;
      if (!result.session) result.session.emplace();
      result.session->channels.push_back(std::move(name));
      return true;
    }
    case kPair: {
      std::string key(in.get_string());
      std::string value(in.get_string());
      if (!in.ok()) return false;
      if (!result.session) result.session.emplace();
      result.session->data.emplace_back(std::move(key), std::move(value));
      return true;
    }
    case kUnknown: {
      shm::SessionId id;
      id.hi = in.get<uint64_t>();
      id.lo = in.get<uint64_t>();
      if (in.ok()) result.unknown.push_back(id);
      return in.ok();
    }
    default:
      return false;
  }
}

template <class T>
void append(std::vector<T>& to, std::vector<T>&& from) {
  if (to.empty()) {
    to = std::move(from);
  } else {
    to.insert(to.end(), std::make_move_iterator(from.begin()), std::make_move_iterator(from.end()));
  }
}

// One entry a name.
void sum_names(std::vector<NameCount>& names) {
  std::sort(names.begin(), names.end(),
            [](const NameCount& a, const NameCount& b) { return a.name < b.name; });
  size_t kept = 0;
  for (size_t i = 0; i < names.size(); ++i) {
    if (kept > 0 && names[kept - 1].name == names[i].name) {
      names[kept - 1].members += names[i].members;
      names[kept - 1].subscribers += names[i].subscribers;
      // A message counts in every worker that has a member: the one that has had some for longest knows best.
      names[kept - 1].published = std::max(names[kept - 1].published, names[i].published);
    } else {
      if (kept != i) names[kept] = std::move(names[i]);
      ++kept;
    }
  }
  names.resize(kept);
}

}  // namespace

std::vector<std::string> result_records(uint64_t token, const CommandResult& result,
                                        size_t max_bytes) {
  Records records(token, max_bytes);
  for (const NameCount& n : result.names)
    records.item(kName, [&](ByteWriter& out) {
      out.put_string(n.name);
      for (uint64_t number : {n.members, n.subscribers, n.published}) out.put(number);
    });
  for (const MemberView& m : result.listed)
    records.item(kMember, [&](ByteWriter& out) {
      for (uint64_t number : {m.position, m.id.hi, m.id.lo}) out.put(number);
      out.put_string(m.user);
    });
  for (const shm::SessionId& id : result.unknown)
    records.item(kUnknown, [&](ByteWriter& out) {
      out.put(id.hi);
      out.put(id.lo);
    });
  if (result.session) {
    for (const std::string& channel : result.session->channels)
      records.item(kChannel, [&](ByteWriter& out) { out.put_string(channel); });
    for (const auto& pair : result.session->data)
      records.item(kPair, [&](ByteWriter& out) {
        out.put_string(pair.first);
        out.put_string(pair.second);
      });
  }
  return records.finish(result);
}

bool read_record_token(std::string_view bytes, uint64_t* token) {
  ByteReader in(bytes);
  *token = in.get<uint64_t>();
  return in.ok();
}

bool merge_record(std::string_view bytes, CommandResult& result, bool* last) {
  ByteReader in(bytes);
  in.get<uint64_t>();  // the token
  *last = in.get<uint8_t>() != 0;
  unsigned flags = in.get<uint8_t>();
  auto delivered = in.get<uint64_t>();
  auto refused = in.get<uint64_t>();
  auto members = in.get<uint64_t>();
  auto subscribers = in.get<uint64_t>();
  if (!in.ok()) return false;
  result.delivered += delivered;
  result.refused += refused;
  result.members += members;
  result.subscribers += subscribers;
  result.partial |= (flags & kPartial) != 0;
  result.more |= (flags & kMore) != 0;
  if ((flags & kSession) != 0 && !result.session) result.session.emplace();
  while (!in.at_end())
    if (!read_item(in, result)) return false;
  return true;
}

void merge_own(CommandResult&& own, CommandResult& result) {
  result.delivered += own.delivered;
  result.refused += own.refused;
  result.members += own.members;
  result.subscribers += own.subscribers;
  result.partial |= own.partial;
  result.more |= own.more;
  append(result.unknown, std::move(own.unknown));
  append(result.names, std::move(own.names));
  append(result.listed, std::move(own.listed));
  if (own.session) result.session = std::move(own.session);
}

void settle_lists(CommandResult& result, uint32_t limit) {
  sum_names(result.names);
  std::sort(result.listed.begin(), result.listed.end(),
            [](const MemberView& a, const MemberView& b) { return a.position < b.position; });
  if (result.names.size() > limit) {
    result.names.resize(limit);
    result.more = true;
  }
  if (result.listed.size() > limit) {
    result.listed.resize(limit);
    result.more = true;
  }
}

}  // namespace holdfast
