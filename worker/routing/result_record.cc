#include "worker/routing/result_record.h"

#include <algorithm>
#include <cstring>
#include <iterator>

#include "base/bytes.h"
#include "worker/routing/records.h"

namespace holdfast {
namespace {

constexpr unsigned kPartial = 1, kMore = 2, kSession = 4;
constexpr unsigned kFlags = kPartial | kMore | kSession;
enum Tag : uint8_t {
  kName = 1,
  kMember = 2,
  kChannel = 3,
  kPair = 4,
  kUnknown = 5,
  kPosition = 6,
  kStream = 7,
  kKept = 8,
  kExpected = 9 | kNeededItem
};

// What a record says before its items.
struct Opening {
  bool last = false;
  unsigned flags = 0;
  uint64_t delivered = 0, refused = 0, members = 0, subscribers = 0;
};

// Collects items and begins a new record where the last one is full.
class Records {
 public:
  Records(uint64_t token, size_t max_bytes, uint8_t version)
      : token_(token), max_bytes_(max_bytes), version_(version) {
    begin();
  }

  template <class Put>
  void item(Tag tag, Put&& put) {
    item_.clear();
    ByteWriter out(item_);
    out.put(uint8_t(tag));
    size_t at = item_.size();
    if (version_ != 0) out.put(uint32_t{0});
    put(out);
    if (version_ != 0) {
      auto bytes = uint32_t(item_.size() - at - sizeof(uint32_t));
      std::memcpy(item_.data() + at, &bytes, sizeof bytes);
    }
    if (has_items_ && records_.back().size() + item_.size() > max_bytes_) begin();
    records_.back() += item_;
    has_items_ = true;
  }

  std::vector<std::string> finish(const CommandResult& result) {
    std::string& last = records_.back();
    std::string items = last.substr(opening_bytes_);
    last.clear();
    put_opening({.last = true,
                 .flags = (result.partial ? kPartial : 0u) | (result.more ? kMore : 0u) |
                          (result.session ? kSession : 0u),
                 .delivered = result.delivered,
                 .refused = result.refused,
                 .members = result.members,
                 .subscribers = result.subscribers});
    last += items;
    return std::move(records_);
  }

 private:
  void begin() {
    records_.emplace_back();
    put_opening({});
    opening_bytes_ = records_.back().size();
    has_items_ = false;
  }
  void put_opening(const Opening& opening) {
    ByteWriter out(records_.back());
    out.put(token_);
    if (version_ == 0) {
      out.put(uint8_t(opening.last));
      out.put(uint8_t(opening.flags));
    } else {
      out.put(RecordHead{.version = uint8_t(kVersioned | version_),
                         .op = uint8_t(opening.last),
                         .flags = uint16_t(opening.flags)});
    }
    for (uint64_t number :
         {opening.delivered, opening.refused, opening.members, opening.subscribers})
      out.put(number);
  }

  uint64_t token_;
  size_t max_bytes_;
  uint8_t version_;
  size_t opening_bytes_ = 0;
  std::vector<std::string> records_;
  std::string item_;
  bool has_items_ = false;
};

bool is_known(uint8_t tag) {
  return (tag >= kName && tag <= kKept) || tag == kExpected;
}

bool read_item(uint8_t tag, ByteReader& in, CommandResult& result) {
  switch (tag) {
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
    case kPosition: {
      Placed placed;
      placed.channel = in.get_string();
      placed.at.epoch = in.get<uint64_t>();
      placed.at.offset = in.get<uint64_t>();
      placed.superseded = in.get<uint8_t>() != 0;
      if (in.ok()) result.positions.push_back(std::move(placed));
      return in.ok();
    }
    case kStream: {
      StreamState& stream = result.stream.emplace();
      for (uint64_t* number : {&stream.top.epoch, &stream.top.offset, &stream.first,
                               &stream.messages, &stream.bytes, &stream.early})
        *number = in.get<uint64_t>();
      result.answered_by = in.get<uint16_t>();
      return in.ok();
    }
    case kKept: {
      KeptMessage message;
      message.offset = in.get<uint64_t>();
      message.age_ms = in.get<uint64_t>();
      message.binary = in.get<uint8_t>() != 0;
      message.data = in.get_string();
      if (in.ok()) result.kept.push_back(std::move(message));
      return in.ok();
    }
    case kExpected:
      result.expected += in.get<uint32_t>();
      result.passed_on += in.get<uint32_t>();
      result.of = CommandResult::Of(in.get<uint8_t>());
      return in.ok() && result.of <= CommandResult::Of::next_home;
    default:
      return false;
  }
}

void put_streams(Records& records, const CommandResult& result) {
  for (const Placed& p : result.positions)
    records.item(kPosition, [&](ByteWriter& out) {
      out.put_string(p.channel);
      out.put(p.at.epoch);
      out.put(p.at.offset);
      out.put(uint8_t(p.superseded));
    });
  if (result.stream)
    records.item(kStream, [&](ByteWriter& out) {
      const StreamState& s = *result.stream;
      for (uint64_t number : {s.top.epoch, s.top.offset, s.first, s.messages, s.bytes, s.early})
        out.put(number);
      out.put(result.answered_by);
    });
  for (const KeptMessage& m : result.kept)
    records.item(kKept, [&](ByteWriter& out) {
      out.put(m.offset);
      out.put(m.age_ms);
      out.put(uint8_t(m.binary));
      out.put_string(m.data);
    });
  if (result.of != CommandResult::Of::worker)
    records.item(kExpected, [&](ByteWriter& out) {
      out.put(uint32_t(result.expected));
      out.put(uint32_t(result.passed_on));
      out.put(uint8_t(result.of));
    });
}

bool read_items_0(ByteReader& in, CommandResult& result) {
  while (!in.at_end())
    if (!read_item(in.get<uint8_t>(), in, result)) return false;
  return true;
}

bool read_items(ByteReader& in, CommandResult& result) {
  while (!in.at_end()) {
    auto tag = in.get<uint8_t>();
    ByteReader item(in.get_string());
    if (!in.ok()) return false;
    if (is_known(tag) ? !read_item(tag, item, result) : (tag & kNeededItem) != 0) return false;
  }
  return true;
}

// False: of a version or with a needed flag that is not known here, or cut short.
bool read_opening(ByteReader& in, uint8_t version, Opening* opening) {
  if (version == 0) {
    opening->last = in.get<uint8_t>() != 0;
    opening->flags = in.get<uint8_t>();
  } else {
    auto head = in.get<RecordHead>();
    if (!understood(head, kFlags)) return false;
    opening->last = head.op != 0;
    opening->flags = head.flags;
  }
  for (uint64_t* number :
       {&opening->delivered, &opening->refused, &opening->members, &opening->subscribers})
    *number = in.get<uint64_t>();
  return in.ok();
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
                                        size_t max_bytes, uint8_t version) {
  Records records(token, max_bytes, version);
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
  if (version > 0) put_streams(records, result);
  return records.finish(result);
}

bool read_record_token(std::string_view bytes, uint64_t* token) {
  ByteReader in(bytes);
  *token = in.get<uint64_t>();
  return in.ok();
}

bool merge_record(std::string_view bytes, CommandResult& result, bool* last) {
  *last = false;
  ByteReader in(bytes);
  in.get<uint64_t>();  // the token
  if (!in.ok()) return false;
  uint8_t version = record_version(bytes.substr(sizeof(uint64_t)));
  Opening opening;
  if (!read_opening(in, version, &opening)) return false;
  *last = opening.last;
  result.delivered += opening.delivered;
  result.refused += opening.refused;
  result.members += opening.members;
  result.subscribers += opening.subscribers;
  result.partial |= (opening.flags & kPartial) != 0;
  result.more |= (opening.flags & kMore) != 0;
  if ((opening.flags & kSession) != 0 && !result.session) result.session.emplace();
  return version == 0 ? read_items_0(in, result) : read_items(in, result);
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
  append(result.positions, std::move(own.positions));
  if (own.stream) result.stream = own.stream;
  append(result.kept, std::move(own.kept));
  result.answered_by = std::max(result.answered_by, own.answered_by);
  result.expected += own.expected;
  result.passed_on += own.passed_on;
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
