// worker/routing/command.h - one push operation, however it came: HTTP, a reply header, a relay, another worker.
//
// Faces (api/*, backend replies) build a Command and give it to Router::execute(). The part that concerns sessions
// of another worker travels to it as the same Command, encoded (command_record.h).
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/position.h"
#include "shm/session_id.h"
#include "worker/channels/stream_state.h"

namespace holdfast {

inline constexpr size_t kMaxChannelBytes = 255;
// 1..255 bytes of UTF-8 without control characters.
bool valid_channel(std::string_view name);
// 1..shm::kMaxUserBytes bytes of UTF-8 without control characters.
bool valid_user(std::string_view name);

// The numbers are those of records between workers: never changed, never used again (records.h R1).
enum class Op : uint8_t {
  // Pushes: many of them may be under way at a time.
  send = 1,       // sessions, data
  send_user = 2,  // users, data, exclude
  send_all = 3,   // data, exclude
  publish = 4,    // channels, data, exclude
  // Changes: a face carries out later requests only when the answer to one is in (changes_state()).
  join = 5,    // sessions or users; channels; exclude
  leave = 6,   // likewise
  bind = 7,    // sessions[0], users[0]
  unbind = 8,  // sessions[0]
  kick = 9,    // sessions, users or channels; code, reason, exclude
  data = 10,   // sessions[0]; pairs, merge
  // Questions.
  get_session = 11,   // sessions[0] -> CommandResult::session
  list_members = 12,  // channels[0] or users[0]; page -> members, subscribers, listed, more
  list_channels =
      13,           // page -> names, more; channels[0]: not channels, but names of its kind (hub.h)
  list_users = 14,  // page -> names, more
  // To the home of the channels (channels/streams.h).
  append = 15,    // channels, data, exclude, version -> positions: a publish, on its way there
  history = 16,   // channels[0]; at, page.limit, reverse, begin -> stream, kept
  empty = 17,     // channels[0] -> stream: its kept messages go
  note_top = 18,  // channels[0], at: from a home; who is behind asks for the rest
};
inline constexpr Op kLastOp = Op::note_top;
inline bool is_for_home(Op op) {
  return op == Op::append || op == Op::history || op == Op::empty;
}

// Later commands of the same asker may depend on it: join, leave, bind, unbind, kick, data.
bool changes_state(Op op);

// The part of a list that is asked for.
struct Page {
  uint32_t limit = 0;     // at most so many; 0: only the counts
  uint64_t position = 0;  // list_members: those after this MemberView::position; 0 from the start
  std::string prefix;     // list_channels, list_users: only names that begin with it
  std::string after;      // likewise: only names greater than it, by bytes
};

struct Command {
  Op op = Op::send;
  bool binary = false;  // data goes out as a binary frame
  bool merge = false;   // data: the other keys stay; else they go
  bool sharded =
      false;  // publish: RESP subscribers get it by the channels' shard names alone (hub.h)
  bool unkept = false;   // publish: not to the channels' streams
  bool reverse = false;  // history: from the newest on
  bool begin = false;    // history: the stream begins now, if there is none
  uint16_t code = 0;     // kick
  // append: one that is not greater than the channel's last one is dropped. 0: none.
  uint64_t version = 0;
  // publish, from a home: of this message in the one channel that is named; note_top: the last one; history: after it, or before.
  Position at;
  // From a home: the slot that gets the answers, plus one. 0: the one that has sent the command.
  uint16_t answer_to = 0;
  // Here only: subscribers of patterns have had it.
  bool repeated = false;
  std::vector<shm::SessionId> sessions;
  std::vector<shm::SessionId> exclude;
  std::vector<std::string> channels;
  std::vector<std::string> users;
  std::vector<std::pair<std::string, std::string>>
      pairs;           // key, value; an empty value takes the key away
  std::string data;    // validated by the face: UTF-8 unless binary, at most max_message_size
  std::string reason;  // kick
  Page page;
  // The asker: commands of one source keep their order (push_carrier.h). Not encoded: to another worker this one is the source.
  uint64_t source = 0;

  std::string encode() const;
  // Appended, with `payload` in the place of data.
  void encode_to(std::string& bytes, std::string_view payload) const;
  size_t encoded_bytes() const;  // exactly as many as encode() takes
  static std::optional<Command> decode(std::string_view bytes);
};

// A channel or a user that has a member.
struct NameCount {
  std::string name;
  uint64_t members = 0;      // sessions
  uint64_t subscribers = 0;  // API connections (RESP SUBSCRIBE)
  uint64_t published = 0;    // messages since it has had members
  bool operator==(const NameCount&) const = default;
};

// A session in a channel, or of a user. `position` orders one listing: workers one after the other, each from its newest place to
// its oldest. A session that stays a member while pages are read is in at least one of them, seldom in two.
struct MemberView {
  uint64_t position = 0;
  shm::SessionId id;
  std::string user;
};

// The part that only the session's worker knows; the rest is in the directory.
struct SessionDetail {
  std::vector<std::string> channels;
  std::vector<std::pair<std::string, std::string>> data;
};

// Of a message in a channel with a stream.
struct Placed {
  std::string channel;
  Position at;              // epoch 0: it has none, for want of memory
  bool superseded = false;  // dropped: its version was not newer; `at` is the last message's
};

// The outcome. For a send to sessions the directory decides at once; all else is reported by the workers that carried it out,
// so after the answer to a join the newcomer can be published to. `partial`: one did not report within the deadline.
struct CommandResult {
  uint64_t delivered = 0;  // sessions reached (queued for them, or handed to their worker)
  std::vector<shm::SessionId> unknown;  // of the sessions named
  std::vector<shm::SessionId>
      failed;                   // named sessions whose worker's mailbox was full: not delivered
  unsigned workers_failed = 0;  // workers that could not be reached because their mailbox was full
  uint64_t refused =
      0;  // joins refused because of max_channels_per_session, data beyond kMaxDataBytes
  bool partial = false;
  // Questions.
  std::vector<NameCount> names;    // sorted by name, counts summed, at most page.limit
  std::vector<MemberView> listed;  // by position, at most page.limit
  uint64_t members = 0;            // of the channel or user, on all workers
  uint64_t subscribers = 0;        // of the channel
  bool more = false;               // names or listed go on
  std::optional<SessionDetail> session;
  // Streams.
  std::vector<Placed> positions;      // append, publish
  std::optional<StreamState> stream;  // history, empty; none: the channel has none
  std::vector<KeptMessage> kept;
  // An answer of a home, which was asked or to which it was passed on: so many other homes, and so many workers that carry it out, answer
  // as well.
  enum class Of : uint8_t { worker, home, next_home };
  Of of = Of::worker;
  unsigned passed_on = 0;
  unsigned expected = 0;
  uint16_t answered_by = 0;  // history, empty: the slot of the home
};

}  // namespace holdfast
