// worker/handover/fcgi_records.h - requests to the application, on their way, as they travel.
#pragma once

#include "base/fields.h"

namespace holdfast::fcgi {

// fcgi::Exchange.
struct ExchangeRecord {
  std::string bytes;
  std::string session;
  bool called_for = false;  // somebody waits for the answer
  uint64_t ticket = 0;
  uint64_t submitted_us = 0;
  uint64_t submitted_ms = 0;
  std::string avoid;  // the address of the server that did not take it
  bool retried = false;
  bool counted = false;
};
template <class Archive>
void fields(Archive& a, ExchangeRecord& r) {
  auto& [bytes, session, called_for, ticket, submitted_us, submitted_ms, avoid, retried, counted] =
      r;
  a(1, bytes);
  a(2, session);
  a(3, called_for);
  a(4, ticket);
  a(5, submitted_us);
  a(6, submitted_ms);
  a(7, avoid);
  a(8, retried);
  a(9, counted);
}

// fcgi::Answer.
struct AnswerRecord {
  uint8_t outcome = 0;
  int32_t status = 0;
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  bool may_have_run = false;
};
template <class Archive>
void fields(Archive& a, AnswerRecord& r) {
  auto& [outcome, status, headers, body, may_have_run] = r;
  a(1, outcome);
  a(2, status);
  a(3, headers);
  a(4, body);
  a(5, may_have_run);
}

// An answer that its caller has not been told.
struct DoneRecord {
  ExchangeRecord exchange;
  AnswerRecord answer;
};
template <class Archive>
void fields(Archive& a, DoneRecord& r) {
  auto& [exchange, answer] = r;
  a(1, exchange);
  a(2, answer);
}

struct PoolRecord {
  std::vector<ExchangeRecord> queue;  // first in, first out
  std::vector<DoneRecord> done;
};
template <class Archive>
void fields(Archive& a, PoolRecord& r) {
  auto& [queue, done] = r;
  a(1, queue);
  a(2, done);
}

// fcgi::RecordReader, in the middle of an answer.
struct ReaderRecord {
  uint8_t part = 0;
  uint8_t type = 0;
  uint8_t padding_left = 0;
  uint8_t held = 0;
  uint16_t content_left = 0;
  uint8_t hold[8]{};
};
template <class Archive>
void fields(Archive& a, ReaderRecord& r) {
  auto& [part, type, padding_left, held, content_left, hold] = r;
  a(1, part);
  a(2, type);
  a(3, padding_left);
  a(4, held);
  a(5, content_left);
  a(6, hold);
}

// A connection to a server with the request it carries: one descriptor.
struct CarriedRecord {
  ExchangeRecord exchange;
  std::string server;  // its address
  uint8_t state = 0;   // Connection::State
  int32_t error = 0;
  ReaderRecord reader;
  std::string output;
  std::string stderr_line;
  uint64_t sent = 0;
  uint64_t began_ms = 0;
  uint64_t sign_of_life_ms = 0;
  uint64_t born_ms = 0;
  bool keep = false;
  bool waits = false;
  bool proven = false;
  bool received = false;
  bool reused = false;
  uint8_t said = 0;  // bits of Said
};
template <class Archive>
void fields(Archive& a, CarriedRecord& r) {
  auto& [exchange, server, state, error, reader, output, stderr_line, sent, began_ms,
         sign_of_life_ms, born_ms, keep, waits, proven, received, reused, said] = r;
  a(1, exchange);
  a(2, server);
  a(3, state);
  a(4, error);
  a(5, reader);
  a(6, output);
  a(7, stderr_line);
  a(8, sent);
  a(9, began_ms);
  a(10, sign_of_life_ms);
  a(11, born_ms);
  a(12, keep);
  a(13, waits);
  a(14, proven);
  a(15, received);
  a(16, reused);
  a(17, said);
}

}  // namespace holdfast::fcgi

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

// An FcgiBackend, apart from its sessions and what is on its connections.
struct BackendRecord {
  uint64_t next_ticket = 0;
  std::vector<FlightRecord> flights;
  std::vector<RetryRecord> close_retries;
  fcgi::PoolRecord pool;
};
template <class Archive>
void fields(Archive& a, BackendRecord& r) {
  auto& [next_ticket, flights, close_retries, pool] = r;
  a(1, next_ticket);
  a(2, flights);
  a(3, close_retries);
  a(4, pool);
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

// What an FcgiBackend keeps of a session (SessionRecord::backend_state).
struct SessionStateRecord {
  std::string params;
  std::vector<WaitingRecord> waiting;
  bool owes_close = false;
  bool paused = false;
  uint64_t retry_ms = 0;
  uint64_t give_up_ms = 0;
  bool held = false;
};
template <class Archive>
void fields(Archive& a, SessionStateRecord& r) {
  auto& [params, waiting, owes_close, paused, retry_ms, give_up_ms, held] = r;
  a(1, params);
  a(2, waiting);
  a(3, owes_close);
  a(4, paused);
  a(5, retry_ms);
  a(6, give_up_ms);
  a(7, held);
}

}  // namespace holdfast::handover
