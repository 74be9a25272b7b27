// worker/api/resp/record.h - the RESP face of a connection, as it travels to a successor.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/fields.h"

namespace holdfast::handover {

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
  std::vector<std::string> followed;  // of channels: those of HF.SUBSCRIBE
};
template <class Archive>
void fields(Archive& a, RespRecord& r) {
  auto& [version, name, id, secret_digest, held_back, channels, patterns, shards, in_transaction,
         spoilt, queued, skip, followed] = r;
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
  a(13, followed);
}

}  // namespace holdfast::handover
