// worker/tls/records.h - TLS records of a connection past its hand-shake (RFC 8446 section 5, RFC 5246 section 6.2).
//
//   comes                                          next() says   and does
//   application data                               data          -
//   KeyUpdate (1.3)                                nothing       new keys; answers, if asked to, with one of its own
//   empty data; an alert that ends nothing (1.2)   nothing       -
//   close_notify                                   closed        -
//   another alert                                  broken        -
//   a record that does not open, or must not be    broken        `answer` is the fatal alert
//
// Invariants
//   I1  Between records nothing is kept but the keys; of a half record what has come.
//   I2  A record is at most 16 KiB of data and what its version allows for the cipher: longer ones are not waited for.
//   I3  Keys are used for at most kMostRecords records (RFC 8446 section 5.5: 2^24.5 with AES-GCM), then updated (1.3); 1.2 has
//       no such limit, its nonces are the sequence.
//   I4  Who changes keys again and again without saying anything is broken.
#pragma once

#include <span>
#include <string>
#include <string_view>

#include "worker/tls/secrets.h"

namespace holdfast::tls {

struct RecordsState {
  Secrets secrets;
  std::string partial;        // of a record that has not come whole
  uint32_t idle_updates = 0;  // KeyUpdates since the last data
};

class Records {
 public:
  enum class Step : uint8_t { need_more, data, nothing, closed, broken };
  static constexpr size_t kMaxPlain = 16'384;
  static constexpr uint64_t kMostRecords = uint64_t{1} << 24;

  explicit Records(const Secrets& secrets) : state_{secrets, {}, 0} {}
  explicit Records(RecordsState&& state) : state_(std::move(state)) {}

  // Takes the bytes of at most one record from the front of `bytes`; they are overwritten. `plain`: its data, valid until the next
  // call and as long as `bytes` are. `answer`: ciphertext to be sent is appended. Behind closed and broken nothing is read.
  Step next(std::span<char>& bytes, std::span<char>* plain, std::string& answer);
  // Appends records that hold `plain`.
  void seal(std::string_view plain, std::string& out);
  void seal_close_notify(std::string& out);

  bool mid_record() const { return !state_.partial.empty(); }
  const RecordsState& save() const { return state_; }

 private:
  Step open(std::span<char> record, std::span<char>* plain, std::string& answer);
  Step on_message(std::string_view message, std::string& answer);
  Step fail(uint8_t alert, std::string& answer);
  void seal_one(uint8_t type, std::string_view plain, std::string& out);

  RecordsState state_;
  std::string opened_;  // the record that partial_ became
};

}  // namespace holdfast::tls
