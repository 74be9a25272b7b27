// worker/api/http/record.h - the HTTP face of a connection, as it travels to a successor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>

#include "base/fields.h"
#include "worker/observe/trace_record.h"

namespace holdfast::handover {

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

}  // namespace holdfast::handover
