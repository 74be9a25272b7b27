// tests/harness/crowd_ledger.h - who must get which message: finds every gap, duplicate and reorder.
//
// A *stream* is what one sender says to one *group* of receivers (a session, a user's sessions, a channel's members, all);
// its messages are numbered from 0. Besides, each sender numbers all it says, whatever the group: the *serial*.
//
// What is asked of each receiver
//   L1  From one stream it gets numbers without a gap, each once, in order; the first one is at most the number that was
//       next when it was known to be in the group (enter()), for what was said later is owed to it.
//   L2  From one sender it gets rising serials: order holds across groups.
//   L3  Nothing comes from a group that it has nothing to do with, and the fill of a message is whole.
//   L4  complete(): each receiver in a group has got the last number of each of its streams. Not of a stream that has ended
//       because its sender was lost: how far its last messages came, nobody knows.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <unordered_set>
#include <vector>

namespace holdfast::test {

struct Violation {
  std::string who, expected, came;
  std::string text() const { return who + ": expected " + expected + ", came " + came; }
};

// A bounded list of what went wrong, and how much altogether.
class Violations {
 public:
  static constexpr size_t kKept = 100;
  void add(Violation violation);
  const std::vector<Violation>& kept() const { return kept_; }
  uint64_t count() const { return count_; }
  // One line each, at most `lines` of them; "" without any.
  std::string text(size_t lines = 10) const;

 private:
  std::vector<Violation> kept_;
  uint64_t count_ = 0;
};

// What a message says of itself.
struct Numbered {
  uint32_t stream = 0, number = 0, serial = 0;
  size_t fill = 0;
};

// "@STREAM.NUMBER.SERIAL.FILL@abc...": the fill depends on the number, so that pieces of two messages in each
// other's place show. Fits JSON and UTF-8 as it is.
std::string to_text(const Numbered& message);
std::optional<Numbered> from_text(std::string_view text);

class Ledger {
 public:
  explicit Ledger(Violations& violations) : violations_(violations) {}

  // A receiver or sender; ids are never used again.
  uint32_t add_party(std::string name);
  void rename(uint32_t party, std::string name) { parties_[party].name = std::move(name); }
  const std::string& name(uint32_t party) const { return parties_[party].name; }
  uint32_t group(const std::string& name);

  // A sender that is admitted to the group gets what it says from the start.
  uint32_t open_stream(uint32_t sender, uint32_t group);
  // The next message of a stream: from now on everybody in its group is owed it.
  Numbered next(uint32_t stream);
  // Nobody waits for what of it has not come. // L4
  void end_stream(uint32_t stream);
  // All its streams.
  void end_sender(uint32_t sender);

  // May get something from the group from now on; is in it, and owed everything, from now on; is owed nothing any more
  // by any group (what still comes is checked).
  void admit(uint32_t receiver, uint32_t group) { parties_[receiver].admitted.insert(group); }
  void enter(uint32_t receiver, uint32_t group);
  void leave(uint32_t receiver);

  // Something came. Empty where it was no numbered message. // L1 L2 L3
  std::optional<Numbered> receive(uint32_t receiver, std::string_view text);

  bool complete() const;  // L4
  void report_missing();  // a violation for each message that is owed

 private:
  struct Seen {
    bool any = false;
    uint32_t next = 0;             // after `any`
    uint32_t from = UINT32_MAX;    // the first number may be at most this
    std::vector<uint32_t> missed;  // bounded: tells a reorder from a duplicate
  };
  struct Party {
    std::string name;
    uint32_t serial = 0;  // the next, as a sender
    std::vector<uint32_t> streams;
    std::vector<uint32_t> groups;
    std::unordered_set<uint32_t> admitted;
    std::unordered_map<uint32_t, Seen> seen;         // by stream
    std::unordered_map<uint32_t, uint32_t> serials;  // by sender: the least that may come
  };
  struct Stream {
    uint32_t sender, group, sent = 0;
  };
  struct Group {
    std::string name;
    std::vector<uint32_t> streams, members;
  };

  std::string describe(uint32_t stream, uint32_t number) const;
  void check_number(const Party& to, Seen& seen, const Numbered& message);
  bool is_owed(const Stream& stream, uint32_t id, const Party& to) const;

  Violations& violations_;
  std::vector<Party> parties_;
  std::vector<Stream> streams_;
  std::vector<Group> groups_;
  std::map<std::string, uint32_t> group_ids_;
};

}  // namespace holdfast::test
