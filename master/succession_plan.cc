#include "master/succession_plan.h"

#include <fmt/format.h>

#include <algorithm>

namespace holdfast::master {
namespace {

constexpr uint16_t kNobody = UINT16_MAX;

Tenant tenant_of(const Slot& slot, bool empty) {
  if (empty) return {Tenant::Kind::empty};
  if (slot.phase == Phase::empty || slot.phase == Phase::draining) return {Tenant::Kind::leaving};
  if (slot.purpose == Purpose::serve) return {Tenant::Kind::accepting, slot.ordinal};
  // It accepts and is not to: it is told to drain once it is ready.
  bool told = slot.phase == Phase::starting && slot.accepts;
  return {told || slot.purpose == Purpose::leave ? Tenant::Kind::leaving : Tenant::Kind::finishing};
}

// P3
void fill(std::vector<uint16_t>& lanes, std::vector<Tenant>& rest, Tenant::Kind kind) {
  for (uint16_t slot = 0; slot < uint16_t(rest.size()); ++slot) {
    if (rest[slot].kind != kind) continue;
    auto lane = std::find(lanes.begin(), lanes.end(), kNobody);
    if (lane == lanes.end()) return;
    *lane = slot;
    rest[slot].kind = Tenant::Kind::leaving;  // has its place
  }
}

}  // namespace

std::vector<Tenant> tenants_of(const Slots& slots) {
  std::vector<uint16_t> empty = slots.empty_slots();
  std::vector<Tenant> tenants;
  for (uint16_t i = 0; i < slots.size(); ++i)
    tenants.push_back(tenant_of(slots[i], std::find(empty.begin(), empty.end(), i) != empty.end()));
  return tenants;
}

Result<std::vector<Place>> plan_succession(const std::vector<Tenant>& tenants, unsigned workers) {
  std::vector<uint16_t> lanes(workers, kNobody);
  std::vector<Tenant> rest = tenants;
  for (uint16_t slot = 0; slot < uint16_t(rest.size()); ++slot) {  // P2
    Tenant& tenant = rest[slot];
    if (tenant.kind != Tenant::Kind::accepting || tenant.ordinal >= workers) continue;
    if (lanes[tenant.ordinal] != kNobody) continue;
    lanes[tenant.ordinal] = slot;
    tenant.kind = Tenant::Kind::leaving;
  }
  for (auto kind : {Tenant::Kind::accepting, Tenant::Kind::finishing, Tenant::Kind::empty})
    fill(lanes, rest, kind);
  auto missing = std::count(lanes.begin(), lanes.end(), kNobody);
  if (missing > 0)
    return Error{Errc::limit, 0,
                 fmt::format("no free slots: {} more needed, the others drain; wait until they "
                             "have drained, or raise server.max_workers ({}) at a restart",
                             missing, tenants.size())};
  std::vector<Place> places;
  for (unsigned ordinal = 0; ordinal < workers; ++ordinal)
    places.push_back({lanes[ordinal], ordinal, true});
  for (uint16_t slot = 0; slot < uint16_t(rest.size()); ++slot) {  // P4
    if (rest[slot].kind == Tenant::Kind::accepting || rest[slot].kind == Tenant::Kind::finishing)
      places.push_back({slot, 0, false});
  }
  return places;
}

}  // namespace holdfast::master
