// worker/backends/record.h - what the back end for applications keeps, as it travels to a successor.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/fields.h"

namespace holdfast::handover {

struct FlightRecord {
  uint64_t ticket = 0;
  uint64_t session_hi = 0;
  uint64_t session_lo = 0;
  uint8_t event = 0;   // AppEvent
  uint32_t bytes = 0;  // of messages.waiting_bytes
};
template <class Archive>
void fields(Archive& a, FlightRecord& r) {
  auto& [ticket, session_hi, session_lo, event, bytes] = r;
  a(1, ticket);
  a(2, session_hi);
  a(3, session_lo);
  a(4, event);
  a(5, bytes);
}

struct RetryRecord {
  uint64_t due_ms = 0;
  uint64_t session_hi = 0;
  uint64_t session_lo = 0;
};
template <class Archive>
void fields(Archive& a, RetryRecord& r) {
  auto& [due_ms, session_hi, session_lo] = r;
  a(1, due_ms);
  a(2, session_hi);
  a(3, session_lo);
}

// An AppBackend, apart from its sessions and what is on its connections.
struct BackendRecord {
  uint64_t next_ticket = 0;
  std::vector<FlightRecord> flights;
  std::vector<RetryRecord> close_retries;
  std::string carrier;  // a record of the carrier's own
};
template <class Archive>
void fields(Archive& a, BackendRecord& r) {
  auto& [next_ticket, flights, close_retries, carrier] = r;
  a(1, next_ticket);
  a(2, flights);
  a(3, close_retries);
  a(4, carrier);
}

struct WaitingRecord {
  bool binary = false;
  std::string data;
  uint32_t counted = 0;  // of messages.waiting_bytes
};
template <class Archive>
void fields(Archive& a, WaitingRecord& r) {
  auto& [binary, data, counted] = r;
  a(1, binary);
  a(2, data);
  a(3, counted);
}

// What an AppBackend keeps of a session (SessionRecord::backend_state).
struct SessionStateRecord {
  std::string params;
  std::vector<WaitingRecord> waiting;
  bool owes_close = false;
  bool paused = false;
  uint64_t retry_ms = 0;
  uint64_t give_up_ms = 0;
  bool held = false;
  std::vector<std::string> asks;  // channels that are not settled yet
  std::string lines;              // of the answer to the hand-shake
};
template <class Archive>
void fields(Archive& a, SessionStateRecord& r) {
  auto& [params, waiting, owes_close, paused, retry_ms, give_up_ms, held, asks, lines] = r;
  a(1, params);
  a(2, waiting);
  a(3, owes_close);
  a(4, paused);
  a(5, retry_ms);
  a(6, give_up_ms);
  a(7, held);
  a(8, asks);
  a(9, lines);
}

}  // namespace holdfast::handover
