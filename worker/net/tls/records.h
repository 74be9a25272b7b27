// worker/net/tls/records.h - TLS records of a connection past its hand-shake (RFC 8446 section 5, RFC 5246 section 6.2).
//
//   comes                                          next() says   and does
//   application data                               data          -
//   KeyUpdate (1.3)                                nothing       new keys; if asked to, owes one of its own
//   empty data; an alert that ends nothing         nothing       -
//   close_notify                                   closed        -
//   another alert                                  broken        -
//   a record that does not open, or must not come  broken        `answer` is the fatal alert
//
// Invariants
//   I1  Between records nothing is kept but the keys; of a half record its bytes so far, and of a half message at most four bytes.
//   I2  A record is at most 16 KiB of data, or the length agreed on, plus the overhead that its version allows for the cipher:
//       longer ones are not waited for.
//   I3  Keys are used for at most `most_records` records of either direction (RFC 8446 section 5.5: 2^24.5 with AES-GCM). 1.3: ours
//       are updated, the other side is asked to update its. 1.2 with AES-GCM: the keys are used_up(), and the connection has to
//       end, for they can only be made anew by a renegotiation, which is not offered.
//   I4  Of KeyUpdates and warnings, which cost work and carry nothing, kBurst may come at once, and one every kEveryMs.
//   I5  However often it was asked, at most one KeyUpdate is owed: it stands for all (RFC 8446 section 4.6.3). The sender takes
//       it with answer_update() when the bytes sealed before have gone, so that a client that does not read is answered once.
#pragma once

#include <array>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <utility>

#include "worker/net/tls/secrets.h"

namespace holdfast::tls {

struct RecordsState {
  Secrets secrets;
  std::string partial;               // of a record that has not come whole
  uint64_t quiet_until_ms = 0;       // I4: when all allowances are back
  std::array<uint8_t, 4> message{};  // of a message that has not come whole
  uint8_t message_bytes = 0;
  bool update_owed = false;   // I5
  bool update_asked = false;  // by us, not answered
};

class Records {
 public:
  enum class Step : uint8_t { need_more, data, nothing, closed, broken };
  static constexpr size_t kMaxPlain = 16'384;
  static constexpr uint64_t kMostRecords = uint64_t{1} << 24;
  static constexpr uint64_t kBurst = 32, kEveryMs = 100;

  explicit Records(const Secrets& secrets, uint64_t most_records = kMostRecords)
      : most_records_(most_records) {
    state_.secrets = secrets;
  }
  explicit Records(RecordsState&& state, uint64_t most_records = kMostRecords)
      : state_(std::move(state)), most_records_(most_records) {
    if (state_.message_bytes > state_.message.size())
      state_.message_bytes = 0;  // nobody saves that
  }

  // Takes the bytes of at most one record from the front of `bytes`; they are overwritten. `plain`: its data, valid until the next
  // call and as long as `bytes` are. `answer`: ciphertext to be sent is appended. After closed and broken nothing is read.
  Step next(std::span<char>& bytes, std::span<char>* plain, std::string& answer,
            uint64_t now_ms = 0);
  // Appends records that hold `plain`, after the KeyUpdate that is owed.
  void seal(std::string_view plain, std::string& out);
  bool owes_update() const { return state_.update_owed; }
  void answer_update(std::string& out);
  bool used_up() const;  // I3
  // How often I3 has made one of the sides change keys since the last call.
  unsigned take_rekeyed() { return std::exchange(rekeyed_, 0); }
  void seal_close_notify(std::string& out);

  bool mid_record() const { return !state_.partial.empty(); }
  const RecordsState& save() const { return state_; }

 private:
  Step open(std::span<char> record, std::span<char>* plain, std::string& answer, uint64_t now_ms);
  Step judge(uint8_t type, std::span<char> text, std::span<char>* plain, std::string& answer,
             uint64_t now_ms);
  Step on_alert(std::string_view text, std::string& answer, uint64_t now_ms);
  Step on_message(std::string_view message, std::string& answer, uint64_t now_ms);
  Step on_update(uint8_t asked, std::string& answer, uint64_t now_ms);
  Step fail(uint8_t alert, std::string& answer);
  bool allowed(uint64_t now_ms);
  size_t most_plain() const {
    return state_.secrets.max_fragment == 0 ? kMaxPlain : state_.secrets.max_fragment;
  }
  void seal_one(uint8_t type, std::string_view plain, std::string& out);
  void seal_update(bool ask, std::string& out);

  RecordsState state_;
  uint64_t most_records_;
  unsigned rekeyed_ = 0;
  std::string opened_;  // the record that partial_ became
};

}  // namespace holdfast::tls
