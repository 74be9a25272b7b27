#include "shm/receipts.h"

#include <cstring>
#include <optional>

#include "base/check.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr auto kAcquire = std::memory_order_acquire;
constexpr auto kSeqCst = std::memory_order_seq_cst;

// Each round or look that is lost means that another worker got on in the same bucket.
constexpr int kRounds = 32;
constexpr int kLooks = 8;

bool change(ReceiptEntry& entry, uint64_t from, uint64_t to) {
  return entry.claim.compare_exchange_strong(from, to, kSeqCst);
}

uint64_t with_state(uint64_t word, ReceiptState state) {
  ReceiptClaim claim = ReceiptClaim::unpack(word);
  claim.state = state;
  return claim.packed();
}

void store_answer(ReceiptEntry& entry, uint16_t status, std::string_view answer) {
  char padded[kMaxReceiptBytes] = {};
  if (!answer.empty()) std::memcpy(padded, answer.data(), answer.size());
  for (size_t i = 0; i < kMaxReceiptBytes / 8; ++i) {
    uint64_t word;
    std::memcpy(&word, padded + 8 * i, 8);
    entry.answer[i].store(word, kRelaxed);
  }
  entry.outcome.store(uint64_t(status) << 16 | answer.size(), kRelaxed);
}

void load_answer(const ReceiptEntry& entry, ReceiptTable::Claim* result) {
  char bytes[kMaxReceiptBytes];
  for (size_t i = 0; i < kMaxReceiptBytes / 8; ++i) {
    uint64_t word = entry.answer[i].load(kRelaxed);
    std::memcpy(bytes + 8 * i, &word, 8);
  }
  uint64_t outcome = entry.outcome.load(kRelaxed);
  result->status = uint16_t(outcome >> 16);
  // Another process wrote it: never past the field.
  size_t length = outcome & 0xffff;
  result->answer.assign(bytes, length < sizeof bytes ? length : sizeof bytes);
}

}  // namespace

uint64_t ReceiptClaim::packed() const {
  return uint64_t(serial % kSerials) << 37 | uint64_t(state) << 34 | uint64_t(slot % kSlots) << 22 |
         pid % kPids;
}

ReceiptClaim ReceiptClaim::unpack(uint64_t word) {
  ReceiptClaim c;
  c.serial = uint32_t(word >> 37);
  unsigned state = word >> 34 & 7;
  c.state = state <= unsigned(ReceiptState::answered) ? ReceiptState(state) : ReceiptState::free;
  c.slot = uint16_t(word >> 22 & (kSlots - 1));
  c.pid = uint32_t(word & (kPids - 1));
  return c;
}

struct ReceiptTable::Request {
  ReceiptKey key;
  uint64_t fingerprint;
  uint16_t slot;
  uint64_t now_ms;
};

// A consistent copy of an entry, without its answer.
struct ReceiptTable::Look {
  uint64_t word = 0;
  ReceiptClaim claim;
  ReceiptKey key{};  // this and all below: not of one that is free or writing
  uint64_t fingerprint = 0, claimed_ms = 0;

  bool has_key() const {
    return claim.state != ReceiptState::free && claim.state != ReceiptState::writing;
  }
  // False: it kept changing.
  bool at(const ReceiptEntry& entry) {
    for (int looks = 0; looks < kLooks; ++looks) {
      word = entry.claim.load(kSeqCst);
      claim = ReceiptClaim::unpack(word);
      if (!has_key()) return true;
      key = {entry.key_hi.load(kRelaxed), entry.key_lo.load(kRelaxed)};
      fingerprint = entry.fingerprint.load(kRelaxed);
      claimed_ms = entry.claimed_ms.load(kRelaxed);
      std::atomic_thread_fence(kAcquire);
      if (entry.claim.load(kRelaxed) == word) return true;  // I1
    }
    return false;
  }
};

uint32_t ReceiptTable::bucket_of(const ReceiptKey& key) const {
  return uint32_t(key.lo % (count_ / kWays)) * kWays;
}

bool ReceiptTable::dead(const ReceiptClaim& claim) const {
  if (claim.slot >= slots_.size()) return true;  // no worker wrote that
  return slots_[claim.slot].pid.load(kAcquire) % ReceiptClaim::kPids != claim.pid;
}

bool ReceiptTable::reusable(const Look& look, uint64_t now_ms) const {  // I4
  // Workers read the clock before they come here, so a claim may be newer than `now_ms`.
  bool expired = now_ms > look.claimed_ms && now_ms - look.claimed_ms >= kReceiptLifeMs;
  switch (look.claim.state) {
    case ReceiptState::free:
      return true;
    case ReceiptState::writing:
    case ReceiptState::claiming:
      return dead(look.claim);
    case ReceiptState::taken:
      return expired && dead(look.claim);
    case ReceiptState::answered:
      return expired;
  }
  return false;
}

ReceiptTable::Verdict ReceiptTable::verdict_of(const Look& look, uint64_t fingerprint) const {
  if (look.fingerprint != fingerprint) return Verdict::mismatch;
  if (look.claim.state == ReceiptState::answered) return Verdict::repeated;
  return dead(look.claim) ? Verdict::unknown : Verdict::busy;
}

ReceiptTable::Claim ReceiptTable::claim(const ReceiptKey& key, uint64_t fingerprint, uint16_t slot,
                                        uint64_t now_ms) {
  HF_CHECK(enabled() && slot < slots_.size());
  Request request{key, fingerprint, slot, now_ms};
  Claim result;
  if (!ensured(pages_, &entries_[bucket_of(key)], kWays * sizeof(ReceiptEntry)))
    return {.verdict = Verdict::no_page};
  for (int round = 0; round < kRounds; ++round)
    if (attempt(request, &result)) return result;
  return {.verdict = Verdict::busy};
}

// False: another worker was faster somewhere, so all must be looked at again.
bool ReceiptTable::attempt(const Request& request, Claim* result) {
  uint32_t first = bucket_of(request.key);
  std::optional<uint32_t> place;
  uint64_t from = 0;
  bool rival = false;
  for (uint32_t i = first; i < first + kWays; ++i) {
    Look look;
    if (!look.at(entries_[i])) return false;
    if (reusable(look, request.now_ms)) {
      if (!place) from = look.word;
      if (!place) place = i;
      continue;
    }
    if (!look.has_key() || look.key != request.key) continue;
    result->verdict = verdict_of(look, request.fingerprint);
    // It may be about to give way to one that was answered meanwhile, further on.
    if (look.claim.state == ReceiptState::claiming) {
      rival = true;
      continue;
    }
    if (result->verdict != Verdict::repeated) return true;
    load_answer(entries_[i], result);
    std::atomic_thread_fence(kAcquire);
    return entries_[i].claim.load(kRelaxed) == look.word;  // I1
  }
  if (rival) return true;
  if (place) return take(*place, from, request, result);
  result->verdict = Verdict::full;
  return true;
}

// False as above; then the entry is not ours. A claimer that dies in here has carried nothing out.
bool ReceiptTable::take(uint32_t index, uint64_t from, const Request& request, Claim* result) {
  ReceiptEntry& entry = entries_[index];
  ReceiptClaim mine{.serial = ReceiptClaim::unpack(from).serial + 1,
                    .state = ReceiptState::writing,
                    .slot = request.slot,
                    .pid = slots_[request.slot].pid.load(kRelaxed)};
  uint64_t writing = mine.packed();
  if (!change(entry, from, writing)) return false;
  // Keeps the stores behind the word: a reader that sees one of them sees the word changed.
  std::atomic_thread_fence(std::memory_order_release);
  entry.key_hi.store(request.key.hi, kRelaxed);
  entry.key_lo.store(request.key.lo, kRelaxed);
  entry.fingerprint.store(request.fingerprint, kRelaxed);
  entry.claimed_ms.store(request.now_ms, kRelaxed);
  uint64_t claiming = with_state(writing, ReceiptState::claiming);
  uint64_t taken = with_state(writing, ReceiptState::taken);
  if (!change(entry, writing, claiming)) return false;
  if (!beats_rivals(index, request)) {
    change(entry, claiming, with_state(writing, ReceiptState::free));  // or a rival has done so
    return false;
  }
  if (!change(entry, claiming, taken)) return false;
  result->verdict = Verdict::fresh;
  result->index = index;
  result->ticket = taken;
  return true;
}

bool ReceiptTable::beats_rivals(uint32_t mine, const Request& request) {  // I3
  uint32_t first = bucket_of(request.key);
  for (uint32_t i = first; i < first + kWays; ++i) {
    Look look;
    if (i == mine) continue;
    if (!look.at(entries_[i])) return false;
    if (!look.has_key() || look.key != request.key) continue;
    bool weaker = look.claim.state == ReceiptState::claiming && (i > mine || dead(look.claim));
    if (weaker ? !change(entries_[i], look.word, with_state(look.word, ReceiptState::free))
               : !reusable(look, request.now_ms))
      return false;
  }
  return true;
}

bool ReceiptTable::complete(const Claim& claim, uint16_t status, std::string_view answer) {
  HF_CHECK(claim.index < count_ && answer.size() <= kMaxReceiptBytes);
  ReceiptEntry& entry = entries_[claim.index];
  // While this worker lives nobody else changes the word of its claim. // I2
  if (entry.claim.load(kRelaxed) != claim.ticket) return false;
  store_answer(entry, status, answer);
  return change(entry, claim.ticket, with_state(claim.ticket, ReceiptState::answered));
}

bool ReceiptTable::abandon(const Claim& claim) {
  HF_CHECK(claim.index < count_);
  return change(entries_[claim.index], claim.ticket, with_state(claim.ticket, ReceiptState::free));
}

}  // namespace holdfast::shm
