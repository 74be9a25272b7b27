// worker/handover/api_records.h - connections of the push API, as they travel. No answer is owed on any of them.
#pragma once

#include "worker/handover/connection_records.h"

namespace holdfast::handover {

// TraceSubject.
struct SubjectRecord {
  uint8_t kind = 0;
  uint64_t session_hi = 0;
  uint64_t session_lo = 0;
  std::string name;
};
template <class Archive>
void fields(Archive& a, SubjectRecord& r) {
  auto& [kind, session_hi, session_lo, name] = r;
  a(1, kind);
  a(2, session_hi);
  a(3, session_lo);
  a(4, name);
}

// api::TraceStream: the successor goes on under the same token, so no line is missed.
struct TraceRecord {
  uint64_t token = 0;
  SubjectRecord subject;
  uint64_t lost = 0;
};
template <class Archive>
void fields(Archive& a, TraceRecord& r) {
  auto& [token, subject, lost] = r;
  a(1, token);
  a(2, subject);
  a(3, lost);
}

struct WatchRecord {
  uint16_t asker = 0;
  uint64_t token = 0;
  SubjectRecord subject;
  uint64_t until_ms = 0;
  uint64_t lost = 0;
};
template <class Archive>
void fields(Archive& a, WatchRecord& r) {
  auto& [asker, token, subject, until_ms, lost] = r;
  a(1, asker);
  a(2, token);
  a(3, subject);
  a(4, until_ms);
  a(5, lost);
}

// What a worker traces for others.
struct TracerRecord {
  std::vector<WatchRecord> watches;
};
template <class Archive>
void fields(Archive& a, TracerRecord& r) {
  auto& [watches] = r;
  a(1, watches);
}

// api::HttpFace. Its token is judged with every request, and a trace's anew by the successor.
struct HttpRecord {
  std::string request;  // bytes that bring a fresh reader to where this one stands
  bool held_back = false;
  bool continued = false;
  std::optional<TraceRecord> trace;
  std::string
      secret_digest;  // SHA-256 of the token; of "" where none was needed. Empty: none was shown, or not told
  uint64_t skipping = 0;  // bytes of a body that nobody wants
};
template <class Archive>
void fields(Archive& a, HttpRecord& r) {
  auto& [request, held_back, continued, trace, secret_digest, skipping] = r;
  a(1, request);
  a(2, held_back);
  a(3, continued);
  a(4, trace);
  a(5, secret_digest);
  // Without it what comes next would be taken for a request.
  a(6 | kNeeded, skipping);
}

// A request of a transaction that has not been carried out.
struct QueuedRecord {
  std::vector<std::string> arguments;
};
template <class Archive>
void fields(Archive& a, QueuedRecord& r) {
  auto& [arguments] = r;
  a(1, arguments);
}

// resp::RequestReader::Skip.
struct SkipRecord {
  uint64_t arguments = 0;
  uint64_t missing = 0;
  uint64_t bytes = 0;
  uint64_t left = 0;
  uint64_t bound = 0;
};
template <class Archive>
void fields(Archive& a, SkipRecord& r) {
  auto& [arguments, missing, bytes, left, bound] = r;
  a(1, arguments);
  a(2, missing);
  a(3, bytes);
  a(4, left);
  a(5, bound);
}

// api::RespFace. Its reader begins again with the bytes that are not used up.
struct RespRecord {
  int32_t version = 0;
  std::string name;
  uint64_t id = 0;
  std::string secret_digest;  // SHA-256 of the token of AUTH; what it may do is judged anew
  bool held_back = false;
  std::vector<std::string> channels;
  std::vector<std::string> patterns, shards;
  bool in_transaction = false;
  bool spoilt = false;
  std::vector<QueuedRecord> queued;
  std::optional<SkipRecord> skip;
};
template <class Archive>
void fields(Archive& a, RespRecord& r) {
  auto& [version, name, id, secret_digest, held_back, channels, patterns, shards, in_transaction,
         spoilt, queued, skip] = r;
  a(1, version);
  a(2, name);
  a(3, id);
  a(4, secret_digest);
  a(5, held_back);
  a(6, channels);
  a(7, patterns);
  a(8, shards);
  a(9 | kNeeded, in_transaction);  // what is to be queued must not be carried out
  a(10, spoilt);
  a(11, queued);
  a(12 | kNeeded, skip);
}

// api::RouterFace.
struct RouterRecord {
  bool held_back = false;
};
template <class Archive>
void fields(Archive& a, RouterRecord& r) {
  auto& [held_back] = r;
  a(1, held_back);
}

// ApiConnection: one descriptor.
struct ApiRecord {
  std::string pending;  // read, not used up
  std::string face;     // a record of the face's own
  OutputRecord output;
  uint64_t next_request = 0;
  uint64_t unsent_when_armed = 0;
  uint64_t deadline_ms = 0;
  uint8_t phase = 0;  // ApiConnection::Phase
  uint8_t due = 0;    // ApiConnection::Due
  bool at_eof = false;
  bool shut = false;
  bool kept_alive = false;
  std::optional<TlsRecord> tls;    // empty: it speaks without
  uint64_t address = 0;            // Strangers::Key
  uint64_t stranger_since_ms = 0;  // 0: it has shown who it is
  std::string
      anchor;  // who answers for its certificate (tls/anchors.h); "-": it showed none. Empty: not told
};
template <class Archive>
void fields(Archive& a, ApiRecord& r) {
  auto& [pending, face, output, next_request, unsent_when_armed, deadline_ms, phase, due, at_eof,
         shut, kept_alive, tls, address, stranger_since_ms, anchor] = r;
  a(1, pending);
  a(2, face);
  a(3, output);
  a(4, next_request);
  a(5, unsent_when_armed);
  a(6, deadline_ms);
  a(7, phase);
  a(8, due);
  a(9, at_eof);
  a(10, shut);
  a(11, kept_alive);
  // Without it what the pusher says next would be no request.
  a(12 | kNeeded, tls);
  a(13, address);
  a(14, stranger_since_ms);
  a(15, anchor);
}

}  // namespace holdfast::handover
