#include "shm/ticket_keys.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <cstring>

#include "base/random.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

}  // namespace

void TicketKeys::renew(uint64_t now_ms) const {
  TicketKey key;
  fill_random(&key, sizeof key);
  put(key, now_ms);
  OPENSSL_cleanse(&key, sizeof key);
}

void TicketKeys::put(const TicketKey& key, uint64_t now_ms) const {
  uint32_t number = ring_->count.load(kRelaxed);
  std::array<uint64_t, sizeof(TicketKey) / 8> words;
  std::memcpy(words.data(), &key, sizeof key);
  auto& place = ring_->keys[number % TicketKeyRing::kKept];
  for (size_t i = 0; i < words.size(); ++i) place[i].store(words[i], kRelaxed);
  OPENSSL_cleanse(words.data(), sizeof words);
  ring_->made_ms.store(now_ms, kRelaxed);
  ring_->count.store(number + 1, std::memory_order_release);  // I1
  if (number < 2) return;
  std::atomic_thread_fence(std::memory_order_release);  // who sees it wiped sees the new count
  for (auto& word : ring_->keys[(number - 2) % TicketKeyRing::kKept]) word.store(0, kRelaxed);
}

TicketKey TicketKeys::copy(uint32_t number) const {
  std::array<uint64_t, sizeof(TicketKey) / 8> words;
  const auto& place = ring_->keys[number % TicketKeyRing::kKept];
  for (size_t i = 0; i < words.size(); ++i) words[i] = place[i].load(kRelaxed);
  std::atomic_thread_fence(std::memory_order_acquire);  // the count is looked at behind this
  TicketKey key;
  std::memcpy(&key, words.data(), sizeof key);
  OPENSSL_cleanse(words.data(), sizeof words);
  return key;
}

TicketKey TicketKeys::newest() const {
  for (;;) {
    uint32_t count = ring_->count.load(std::memory_order_acquire);
    TicketKey key = copy(count - 1);
    if (ring_->count.load(kRelaxed) == count) return key;
  }
}

std::optional<TicketKey> TicketKeys::named(std::span<const unsigned char, 16> name) const {
  for (;;) {
    uint32_t count = ring_->count.load(std::memory_order_acquire);
    std::optional<TicketKey> found;
    for (uint32_t age = 1; age <= std::min(count, 2u) && !found; ++age) {
      TicketKey key = copy(count - age);
      if (std::equal(name.begin(), name.end(), key.name.begin())) found = key;
    }
    if (ring_->count.load(kRelaxed) == count) return found;
  }
}

}  // namespace holdfast::shm
