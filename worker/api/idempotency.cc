#include "worker/api/idempotency.h"

#include <fmt/format.h>
#include <openssl/sha.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/clock.h"
#include "shm/receipts.h"
#include "wire/http/chars.h"
#include "worker/net/memory_refused.h"
#include "worker/routing/command_record.h"

namespace holdfast::api {
namespace {

using Verdict = shm::ReceiptTable::Verdict;

std::array<uint64_t, 4> sha256(std::string_view text) {
  unsigned char digest[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest);
  std::array<uint64_t, 4> words;
  static_assert(sizeof words == sizeof digest);
  std::memcpy(words.data(), digest, sizeof digest);
  return words;
}

shm::ReceiptKey receipt_key(std::string_view id) {
  auto words = sha256(id);
  return {words[0], words[1]};
}

uint64_t fingerprint_of(const Command& command) {
  return sha256(comparable(command))[0];
}

Refusal refusal_of(const ApiContext& context, Verdict verdict) {
  switch (verdict) {
    case Verdict::busy:
      return {{409, "in_progress", "the first request with this key is not finished yet"},
              "Retry-After: 1\r\n"};
    case Verdict::unknown:
      return {{409, "outcome_unknown",
               "the worker died that carried out the first request with this key; it may or may "
               "not have been carried out"},
              {}};
    case Verdict::mismatch:
      return {{422, "key_reused", "the key was used for another request; nothing was done"}, {}};
    case Verdict::no_page:
      count_memory_refused(*context.stats, "idempotency keys");
      return {{503, "keys_full", "shared memory has no room for a key now; nothing was done"}, {}};
    default:
      context.stats->api_keys_full.add();
      return {{503, "keys_full",
               "no more keys can be kept now; raise limits.idempotency_keys or try again later"},
              {}};
  }
}

// Did it change or send anything, as far as can be known?
bool nothing_done(const CommandResult& result, int status) {
  return status >= 400 && result.delivered == 0 && !result.partial && result.positions.empty();
}

std::string brief_of(Op op, const CommandResult& counts) {
  json::Writer json;
  json.begin_object();
  if (auto error = error_of(Command{.op = op}, counts))
    write_error(json, {error->status, error->code, {}});
  write_result(json, Command{.op = op}, counts);
  json.key("shortened").boolean(true).end_object();
  return json.take();
}

// The answer without its lists and with the briefest of errors: fits kMaxReceiptBytes. With the position of the one channel, if that
// fits, too.
std::string shortened(Op op, const CommandResult& result) {
  CommandResult counts = {.delivered = result.delivered,
                          .workers_failed = result.workers_failed,
                          .refused = result.refused,
                          .partial = result.partial};
  if (result.positions.size() == 1) {
    counts.positions = result.positions;
    if (std::string brief = brief_of(op, counts); brief.size() <= shm::kMaxReceiptBytes)
      return brief;
    counts.positions.clear();
  }
  return brief_of(op, counts);
}

bool visible_ascii(std::string_view text) {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

std::variant<Receipt, Repeat, Refusal> open_receipt(const ApiContext& context, std::string_view id,
                                                    const Command& command) {
  if (id.empty()) return Receipt();
  shm::ReceiptTable table = context.segment->receipts();
  if (!table.enabled())
    return Refusal{{400, "keys_off", "idempotency keys are off: limits.idempotency_keys is 0"}, {}};
  shm::ReceiptTable::Claim claim =
      table.claim(receipt_key(id), fingerprint_of(command), context.slot, monotonic_ms());
  if (claim.verdict == Verdict::repeated) {
    context.stats->api_repeated.add();
    return Repeat{claim.status, std::move(claim.answer)};
  }
  if (claim.verdict != Verdict::fresh) return refusal_of(context, claim.verdict);
  Receipt receipt;
  receipt.open_ = true;
  receipt.index_ = claim.index;
  receipt.ticket_ = claim.ticket;
  return receipt;
}

void Receipt::close(const ApiContext& context, Op op, const CommandResult& result, int status,
                    std::string_view body) const {
  if (!open_) return;
  if (nothing_done(result, status)) return give_back(context);
  shm::ReceiptTable::Claim claim{.verdict = Verdict::fresh, .index = index_, .ticket = ticket_};
  std::string brief;
  if (body.size() > shm::kMaxReceiptBytes) body = brief = shortened(op, result);
  context.segment->receipts().complete(claim, uint16_t(status), body);
}

void Receipt::give_back(const ApiContext& context) const {
  if (!open_) return;
  context.segment->receipts().abandon(
      {.verdict = Verdict::fresh, .index = index_, .ticket = ticket_});
}

std::variant<std::string, ApiError> key_of(const http::Request& request, std::string&& id) {
  const std::string* header = nullptr;
  for (const http::Header& h : request.headers) {
    if (!http::equal_ignoring_case(h.name, "Idempotency-Key")) continue;
    if (header != nullptr) return ApiError{400, "bad_request", "more than one Idempotency-Key"};
    header = &h.value;
  }
  if (header == nullptr) return std::move(id);
  if (header->empty() || header->size() > kMaxIdBytes || !visible_ascii(*header))
    return ApiError{
        400, "bad_request",
        fmt::format("Idempotency-Key: must be 1 to {} visible ASCII characters", kMaxIdBytes)};
  if (!id.empty() && id != *header)
    return ApiError{400, "bad_request", "Idempotency-Key and \"id\" are not the same"};
  return *header;
}

std::optional<ApiError> refuse_key(const http::Request& request) {
  if (!request.header("Idempotency-Key")) return {};
  return ApiError{400, "bad_request",
                  "a batch has no Idempotency-Key: give its commands an \"id\" each"};
}

}  // namespace holdfast::api
