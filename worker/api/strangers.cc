#include "worker/api/strangers.h"

#include "base/bytes.h"
#include "base/check.h"

namespace holdfast {

Strangers::Key Strangers::key_of(const in6_addr& address) {
  const auto* bytes = reinterpret_cast<const char*>(&address);
  if (IN6_IS_ADDR_V4MAPPED(&address)) return uint64_t{0xffff} << 32 | load_be32(bytes + 12);
  // ::1 and the like: their first half says nothing.
  uint64_t first = load_be64(bytes);
  return first != 0 ? first : load_be64(bytes + 8);
}

uint64_t Strangers::enter(Key address, ApiConnection& connection, ApiConnection** ended) {
  *ended = nullptr;
  if (address != kNowhere) {
    unsigned& count = of_address_[address];
    if (count == kMaxOfAddress) return 0;
    ++count;
  }
  if (in_order_.size() == kMax) {
    *ended = in_order_.begin()->second.connection;
    leave(in_order_.begin()->first);
  }
  in_order_.emplace(++last_place_, Entry{&connection, address});
  return last_place_;
}

// One that had to go for another is gone already.
void Strangers::leave(uint64_t place) {
  auto entry = in_order_.find(place);
  if (entry == in_order_.end()) return;
  Key address = entry->second.address;
  in_order_.erase(entry);
  if (address == kNowhere) return;
  auto count = of_address_.find(address);
  HF_CHECK(count != of_address_.end());
  if (--count->second == 0) of_address_.erase(count);
}

}  // namespace holdfast
