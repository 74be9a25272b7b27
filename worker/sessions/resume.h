// worker/sessions/resume.h - sessions that outlive their connection: which client may come back to which, and what it missed.
//
// Owner: Sessions. A client of a listener with `resume` names a key, 128 random bits of its own; its session is *resumable* then. What
// was sent to it is kept in order, `resume_buffer` at most (the tail), as the buffers that all recipients share. If its connection
// breaks the session is detached for `resume`; the client comes back with the key and the number of messages it has seen.
//
// A key is a secret. It is kept as the first 128 bits of its HMAC-SHA-256 with the segment's key of names, together with the listener's
// address and path, and compared in constant time. The reserved name filter_name() of it is in the channel filter for as long as the
// session has the key, so other workers know which of them to ask (worker/clients/passage.h).
//
// Invariants
//   I1  Messages are numbered 1, 2 ... as they go to the transport or, while there is none, to the tail. The tail is the last ones.
//   I2  A session that is not resumable has nothing here, and costs nothing.
//   I3  `resume.kept_bytes` is what all tails of this worker hold, each counted whole. Beyond limits.max_unsent_per_worker the tail
//       that would grow is emptied instead (resume.forgotten).
//   I4  If a detached session's client has surely missed a message that is not kept any more, the session ends with this turn
//       (resume.overflowed): within a turn its channels' members may be walked.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/buffer.h"
#include "base/hash.h"
#include "shm/channel_filter.h"
#include "worker/net/runtime.h"
#include "worker/sessions/expiry.h"
#include "worker/sessions/record.h"
#include "worker/sessions/session.h"

namespace holdfast {

using ResumeKey = std::array<uint8_t, 16>;  // the keyed hash

// What a client's request says of it.
struct ResumeWish {
  ResumeKey key{};
  uint64_t seen = 0;                         // messages that it has had
  bool comes_back = false;                   // it says what it has seen, so there was a session
  std::optional<shm::SessionId> of_session;  // that these were messages of
};

class Resume {
 public:
  Resume(Runtime& runtime, shm::ChannelFilter filter, const HashKey& secret, uint32_t first_index)
      : runtime_(runtime), filter_(filter), secret_(secret), first_index_(first_index) {}

  // Of the 22 digits of base64url that are a client's key; empty: it is none.
  std::optional<ResumeKey> key_of(const conf::Listen& listen, std::string_view digits) const;
  static std::string filter_name(const ResumeKey& key);

  // The session is resumable by this key from here on. False: another session has it.
  bool begin(Session& session, const ResumeKey& key);
  void end(Session& session);
  Session* find(const ResumeKey& key) const;  // null: none here

  // May it be the client that the session began with? By the user of its token, "" if there is none.
  bool is_of(const Session& session, std::string_view token_user) const;
  // The subprotocol that it began with, "": none. Whoever comes back goes on with the same.
  void agreed(const Session& session, std::string_view subprotocol);
  std::string_view subprotocol_of(const Session& session) const;
  enum class Verdict : uint8_t {
    good,
    too_old,  // what it has missed is not kept any more
    ahead,    // it says to have seen more than was sent
  };
  Verdict judge(const Session& session, const ResumeWish& wish) const;
  // How many messages of this session it has seen.
  static uint64_t seen_of(const Session& session, const ResumeWish& wish);
  // Those after the first `seen`, which judge() has found good.
  std::vector<BufferRef> missed(const Session& session, uint64_t seen) const;

  // One more message: to the transport, or to the tail alone. False: it is not kept (I4).
  bool sent(const Session& session, const BufferRef& message);
  // The transport has thrown away so many that had not gone.
  void not_sent(const Session& session, size_t messages);

  void detached(const Session& session, uint64_t until_ms);
  void attached(const Session& session);
  // One whose time is over, or that has overflowed; counted.
  std::optional<uint32_t> take_due(uint64_t now_ms);

  void save(const Session& session, handover::SessionRecord& record) const;
  // False: it makes no sense. Writes nothing into the segment.
  bool restore(Session& session, handover::SessionRecord& record);

 private:
  struct Tail {
    std::vector<BufferRef> messages;
    size_t first = 0;  // those before it are gone
    size_t bytes = 0;
    uint64_t certain = 0;  // messages sent when it was detached
    size_t count() const { return messages.size() - first; }
  };
  struct State {
    Session* session = nullptr;
    std::unique_ptr<Tail> tail;  // once a message was sent
    RareText token_user;
    RareText subprotocol;
    uint64_t sent = 0;
  };
  struct KeyHash {
    size_t operator()(const ResumeKey& key) const noexcept;
  };
  struct SameKey {
    bool operator()(const ResumeKey& a, const ResumeKey& b) const noexcept;
  };
  using States = std::unordered_map<ResumeKey, State, KeyHash, SameKey>;

  States::value_type& entry_of(const Session& session) const;
  State& state_of(const Session& session) const { return entry_of(session).second; }
  void place(const Session& session, States::value_type* entry);
  void drop_oldest(Tail& tail);
  void forget(Tail& tail);

  Runtime& runtime_;
  shm::ChannelFilter filter_;
  HashKey secret_;
  uint32_t first_index_;
  States by_key_;
  std::vector<States::value_type*> by_place_;  // by index in this slot's slab
  Expiry windows_;                             // of those that are detached, in milliseconds
};

}  // namespace holdfast
