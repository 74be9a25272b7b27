// worker/api/idempotency.h - requests with a key of their caller's: carried out once, answered
// alike for five minutes (shm/receipts.h), at whatever worker the repeat arrives.
//
//   parse -> open_receipt() -> Receipt    settle, Router::execute(), then Receipt::close()
//                           -> Repeat     the first answer; nothing is done
//                           -> Refusal    nothing is done
//
// Two requests with one key are the same if operation and fields are (comparable() of
// routing/command_record.h), at a binary of any version: receipts stand in the segment, which
// outlives an upgrade, and those of commit 64a7ea7 are known again.
//
// A key is given back if nothing was done: a failed check, an unknown session, full mailboxes. A
// batch has a key for each command ("id"), and none as a whole.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <variant>

#include "wire/http/request.h"
#include "worker/api/face.h"
#include "worker/api/http/json_command.h"
#include "worker/api/http/outcome.h"

namespace holdfast::api {

// The first answer: a JSON object. HTTP adds kRepeatedHeader.
struct Repeat {
  int status;
  std::string body;
};

struct Refusal {
  ApiError error;
  std::string_view headers;  // HTTP: complete lines, or ""
};

// The key of a request that is under way; without a key, nothing. A value: the callback that
// answers has it.
class Receipt {
 public:
  Receipt() = default;
  // The outcome of the command: `body` is the JSON object that is answered. It is kept (if it is
  // long, without its lists and with "shortened": true), unless nothing was done.
  void close(const ApiContext& context, Op op, const CommandResult& result, int status,
             std::string_view body) const;
  // Nothing was done.
  void give_back(const ApiContext& context) const;

 private:
  friend std::variant<Receipt, Repeat, Refusal> open_receipt(const ApiContext&, std::string_view,
                                                             const Command&);
  bool open_ = false;
  uint32_t index_ = 0;  // as in shm::ReceiptTable::Claim
  uint64_t ticket_ = 0;
};

inline constexpr std::string_view kRepeatedHeader = "Holdfast-Repeated: true\r\n";

// Before settle(), which may change the command. `id`: the caller's key, or "". Counts api.repeated
// and api.keys_full.
std::variant<Receipt, Repeat, Refusal> open_receipt(const ApiContext& context, std::string_view id,
                                                    const Command& command);

// The key of a request that is one command: its header "Idempotency-Key" (1 to 255 visible ASCII
// characters), or the body's `id`, or both if they are equal.
std::variant<std::string, ApiError> key_of(const http::Request& request, std::string&& id);
// A batch must have none.
std::optional<ApiError> refuse_key(const http::Request& request);

}  // namespace holdfast::api
