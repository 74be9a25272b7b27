// worker/handover/slot_records.h - the state that belongs to a slot as a whole and not to one connection, as it travels.
#pragma once

#include "worker/handover/config_records.h"
#include "worker/net/named_record.h"
#include "worker/routing/letter_record.h"

namespace holdfast::handover {

struct PublishedRecord {
  std::string channel;
  uint64_t messages = 0;    // Channel::published
  uint64_t seen_epoch = 0;  // Channel::seen
  uint64_t seen_offset = 0;
};
template <class Archive>
void fields(Archive& a, PublishedRecord& r) {
  auto& [channel, messages, seen_epoch, seen_offset] = r;
  a(1, channel);
  a(2, messages);
  a(3, seen_epoch);
  a(4, seen_offset);
}

// The first parcel. The successor's own configuration may lack a listener or a backend that connections have
// come by: then they keep those of this record.
struct SlotRecord {
  uint16_t slot = 0;
  uint32_t generation = 0;  // of the configuration
  ConfigRecord config;
  std::vector<LetterRecord> letters;
  std::string tracer;  // a TracerRecord
  uint64_t stood_still_ms =
      0;  // of its process: all deadlines are on that clock (base/process_clock.h)
};
template <class Archive>
void fields(Archive& a, SlotRecord& r) {
  auto& [slot, generation, config, letters, tracer, stood_still_ms] = r;
  a(1, slot);
  a(2, generation);
  a(3, config);
  a(4, letters);
  a(5, tracer);
  // Without it all of them would be in the past.
  a(6 | kNeeded, stood_still_ms);
}

// A buffer that stands in several output queues (shelf.h), before the first of them.
struct SharedRecord {
  uint64_t number = 0;
  std::string bytes;
  uint64_t tag = 0;
};
template <class Archive>
void fields(Archive& a, SharedRecord& r) {
  auto& [number, bytes, tag] = r;
  a(1, number);
  a(2, bytes);
  a(3, tag);
}

// The last parcel: what has been sent before it, so that nothing is missing unnoticed.
struct EndRecord {
  uint64_t sessions = 0;
  uint64_t clients = 0;
  uint64_t api_connections = 0;
  uint64_t backends = 0;
  uint64_t requests = 0;
  std::vector<PublishedRecord>
      published;  // after the members, for without these there is no channel
};
template <class Archive>
void fields(Archive& a, EndRecord& r) {
  auto& [sessions, clients, api_connections, backends, requests, published] = r;
  a(1, sessions);
  a(2, clients);
  a(3, api_connections);
  a(4, backends);
  a(5, requests);
  a(6, published);
}

}  // namespace holdfast::handover
