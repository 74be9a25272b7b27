// worker/routing/post.h - records to and from the other workers: rings, overflow, doorbells, a reader for each kind.
//
// Invariants
//   I1  Records to one slot leave in the order of send(): once one waits in the overflow, all later ones do.
//   I2  The overflow to one slot is at most limits.mailbox_overflow bytes; beyond it send() fails and counts.
//   I3  Doorbells are rung once a turn at most, and only for slots that sleep.
//   I4  announce() before sleeping, then has_mail() again: no record is slept on (shm/mailbox.h I4).
//   I5  Records written for a dead process reach no session of its successor: a session that joins a channel gets all that
//       is published from then on, and nothing older with a gap after it.
//   I6  No ring of a slot that nobody has ever served is touched: its pages are not there.
#pragma once

#include <array>
#include <cstdint>
#include <deque>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/segment.h"
#include "worker/net/heritage.h"
#include "worker/net/runtime.h"
#include "worker/routing/letter_record.h"
#include "worker/routing/records.h"

namespace holdfast {

class Post {
 public:
  class Intake {
   public:
    // False: what that worker has written stays in its ring for now, and it sees that the ring is full.
    virtual bool takes_from(uint16_t from) const = 0;

   protected:
    ~Intake() = default;
  };

  Post(Runtime& runtime, const Heritage& heritage, const Intake& intake);

  // From now on records of this kind go to `on_record`; one of a kind that nobody reads is counted push.bad_record.
  using OnRecord = std::function<void(uint16_t from, std::string_view body)>;
  void read_with(RecordKind kind, OnRecord on_record);

  uint16_t slots() const { return slots_; }
  // Largest body that fits a record; a face must not accept a command that cannot be forwarded.
  size_t max_body() const { return max_body_; }
  // False: the slot's ring and overflow are full (counted push.queue_full), there is no memory for the ring (counted
  // memory.refused), or nobody serves the slot.
  bool send(uint16_t to, RecordKind kind, std::string_view body);
  bool served(
      uint16_t slot) const;  // by a process that reads its mail, or will once it is restarted

  // Handover: the records that wait for room in a ring. restore() writes nothing into the segment.
  std::vector<handover::LetterRecord> save() const;
  bool restore(std::vector<handover::LetterRecord>&& letters);

  // Reads all that was written for a predecessor that died, before anybody connects: its senders get their answers.  // I5
  void receive_leftovers();
  // Reads up to kTurnRecords from each other worker, as long as they are taken (Intake).
  void receive();
  // The record that is being read was begun by a process of this slot that died of it, or with it.
  bool reads_again() const { return reads_again_; }
  bool has_mail() const;
  // End of turn: overflow into rings, then doorbells.
  void dispatch();
  void announce_sleep();
  void announce_awake();

 private:
  static constexpr unsigned kTurnRecords = 256;
  struct Outbox {
    struct Letter {
      uint32_t kind;
      std::string body;
    };
    std::deque<Letter> waiting;
    size_t waiting_bytes = 0;
    uint32_t restarts = 0;  // of the slot when the first of them began to wait  // I5
    bool ring = false;      // something new is in the ring
  };
  void on_doorbell(short);
  void receive_from(uint16_t from);
  void read(uint16_t from, uint32_t kind, std::string_view body);
  // False: it has no record that makes sense.
  bool receive_one(uint16_t from);
  void wake_producer(uint16_t from);
  uint32_t restarts(uint16_t slot) const;
  void empty_overflow(uint16_t to, Outbox& box);
  bool begun(uint16_t slot) const;  // I6
  bool has_mail_from(uint16_t slot) const { return begun(slot) && !in_[slot].empty(); }

  Runtime& runtime_;
  const Heritage& heritage_;
  shm::Segment& segment_;
  const Intake& intake_;
  std::array<OnRecord, kRecordKinds> readers_;  // by kind
  size_t max_body_;
  bool reads_again_ = false;
  uint16_t slots_;
  std::vector<shm::MailboxRing> in_, out_;  // by the other slot
  mutable std::vector<bool> begun_;         // by slot: those that begun() has seen
  std::vector<Outbox> outboxes_;
  IoEvent doorbell_;
};

}  // namespace holdfast
