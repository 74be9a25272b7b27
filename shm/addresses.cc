#include "shm/addresses.h"

#include <algorithm>
#include <bit>

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;
constexpr uint32_t kMostCame = UINT16_MAX;

// No address of the open internet begins with 0::/16, so the two kinds do not meet.
uint64_t key_of(const in6_addr& address) {
  const auto* bytes = reinterpret_cast<const char*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&address)) return uint64_t{0xffff} << 32 | load_be32(bytes + 12);
  return load_be64(bytes);
}

// The finalizer of MurmurHash3, over a secret: as versions before the key did it.
uint64_t mixed(uint64_t key, uint64_t seed) {
  uint64_t h = key ^ seed;
  h = (h ^ h >> 33) * 0xff51afd7ed558ccd;
  h = (h ^ h >> 33) * 0xc4ceb9fe1a85ec53 + seed;
  return h ^ h >> 33;
}

struct Came {
  uint32_t before = 0, now = 0;  // in the second before, in this one
};

Came came_until(const AddressEntry& entry, uint32_t second) {
  uint32_t at = entry.second.load(kRelaxed), came = entry.came.load(kRelaxed);
  if (at == second) return {came >> 16, came & 0xffff};
  if (at + 1 == second) return {came & 0xffff, 0};
  return {};
}

void store(AddressEntry& entry, uint32_t second, Came came) {
  entry.came.store(std::min(came.before, kMostCame) << 16 | std::min(came.now, kMostCame),
                   kRelaxed);
  entry.second.store(second, kRelaxed);
}

}  // namespace

uint32_t AddressTable::entries_for(uint32_t max_sessions) {
  return std::bit_ceil(std::max(max_sessions, kWays));
}

void AddressTable::begin(uint16_t slot) const {
  std::atomic<uint32_t>& epoch = heads_[slot].address_epoch;
  epoch.store(std::max(epoch.load(kRelaxed) + 1, 1u), std::memory_order_release);
}

size_t AddressTable::way_of(uint64_t key) const {
  size_t buckets = per_slot_ / kWays;
  std::string_view bytes(reinterpret_cast<const char*>(&key), sizeof key);
  uint64_t hash = key_.none() ? mixed(key, seed_) : hash_name(bytes, key_);
  return (hash & (buckets - 1)) * kWays;
}

// The entry of the address, or one that is made it; null if there is no room. // I5
AddressEntry* AddressTable::place_for(uint16_t slot, uint64_t key, size_t way,
                                      uint64_t now_ms) const {
  uint32_t epoch = heads_[slot].address_epoch.load(kRelaxed);
  auto second = uint32_t(now_ms / 1000);
  AddressEntry* first = bucket(slot, way);
  AddressEntry* free = nullptr;
  for (AddressEntry* e = first; e < first + kWays; ++e) {
    bool used = e->epoch.load(kRelaxed) == epoch;
    if (used && e->address.load(kRelaxed) == key) return e;
    Came came = came_until(*e, second);
    bool idle = used && e->connections.load(kRelaxed) == 0 && came.before + came.now == 0;
    if ((!used || idle) && free == nullptr) free = e;
  }
  if (free == nullptr) return nullptr;
  free->epoch.store(0, kRelaxed);
  std::atomic_thread_fence(std::memory_order_release);
  free->address.store(key, kRelaxed);
  free->connections.store(0, kRelaxed);
  store(*free, second, {});
  free->epoch.store(epoch, std::memory_order_release);  // I1
  return free;
}

AddressTable::Seen AddressTable::enter(uint16_t slot, const in6_addr& address,
                                       uint64_t now_ms) const {
  HF_CHECK(slot < slots_ && heads_[slot].address_epoch.load(kRelaxed) != 0);
  uint64_t key = key_of(address);
  size_t way = way_of(key);
  if (!ensured(pages_, bucket(slot, way), kWays * sizeof(AddressEntry))) return {.no_page = true};
  AddressEntry* ours = place_for(slot, key, way, now_ms);
  if (ours == nullptr) return {};
  auto second = uint32_t(now_ms / 1000);
  Came came = came_until(*ours, second);
  store(*ours, second, {came.before, came.now + 1});
  ours->connections.store(ours->connections.load(kRelaxed) + 1, kRelaxed);
  std::atomic_thread_fence(std::memory_order_seq_cst);  // I2
  uint64_t connections = 0, thousandths = 0;
  for (uint32_t s = 0; s < slots_; ++s) add(s, key, way, now_ms, &connections, &thousandths);
  auto at_most = [](uint64_t n) { return uint32_t(std::min<uint64_t>(n, UINT32_MAX)); };
  return {uint32_t(ours - (entries_ + size_t(slot) * per_slot_)), at_most(connections),
          at_most(thousandths / 1000)};
}

// What one slot knows of the address. An entry that changes hands under our eyes counts as none.
void AddressTable::add(uint32_t slot, uint64_t key, size_t way, uint64_t now_ms,
                       uint64_t* connections, uint64_t* thousandths) const {
  uint32_t epoch = heads_[slot].address_epoch.load(std::memory_order_acquire);
  if (epoch == 0) return;  // I4
  AddressEntry* first = bucket(slot, way);
  if (!is_there(pages_, first, kWays * sizeof(AddressEntry))) return;  // I4
  auto is_it = [&](const AddressEntry& e) {
    return e.epoch.load(std::memory_order_acquire) == epoch && e.address.load(kRelaxed) == key;
  };
  for (AddressEntry* e = first; e < first + kWays; ++e) {
    if (!is_it(*e)) continue;
    uint32_t count = e->connections.load(kRelaxed);
    Came came = came_until(*e, uint32_t(now_ms / 1000));
    std::atomic_thread_fence(std::memory_order_acquire);
    if (!is_it(*e)) return;
    *connections += count;
    *thousandths += uint64_t(came.before) * (1000 - now_ms % 1000) + uint64_t(came.now) * 1000;
    return;
  }
}

void AddressTable::leave(uint16_t slot, uint32_t place) const {
  if (place == kNoPlace) return;
  HF_CHECK(slot < slots_ && place < per_slot_);
  AddressEntry& entry = entries_[size_t(slot) * per_slot_ + place];
  uint32_t connections = entry.connections.load(kRelaxed);
  HF_CHECK(connections > 0);
  entry.connections.store(connections - 1, kRelaxed);
}

void AddressTable::refuse(uint16_t slot, uint32_t place, uint64_t now_ms) const {
  if (place == kNoPlace) return;
  leave(slot, place);
  AddressEntry& entry = entries_[size_t(slot) * per_slot_ + place];
  auto second = uint32_t(now_ms / 1000);
  Came came = came_until(entry, second);
  if (came.now > 0) store(entry, second, {came.before, came.now - 1});
}

}  // namespace holdfast::shm
