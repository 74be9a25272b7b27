// worker/backends/fcgi/record.h - requests to the application, on their way, as they travel to a successor.
#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/fields.h"
#include "wire/fcgi/record.h"

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

// AppAnswer.
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
