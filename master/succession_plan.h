// master/succession_plan.h - which slot does what in the next generation. Pure: no process, no
// segment.
//
// Invariants
//   P1  The places that accept have the ordinals 0..workers-1, each once.
//   P2  A slot that accepts keeps its ordinal if that is still there. So a reload with as many
//       workers as before moves nobody to other lanes.
//   P3  Free ordinals go to slots that accept but lost theirs, then to slots that only finish, then
//       to empty ones. So nobody finishes beside an empty slot that begins.
//   P4  A slot that is left over gets a place that does not accept. Places that accept come first,
//       by ordinal.
//   P5  A slot whose process has the word to drain is left alone: it ends soon, and takes no handover.
#pragma once

#include <optional>
#include <vector>

#include "base/result.h"
#include "master/slots.h"

namespace holdfast::master {

struct Place {
  uint16_t slot;
  unsigned ordinal;  // 0 if it does not accept
  bool accepts;
};

// The state of a slot now, as far as the plan is concerned.
struct Tenant {
  enum class Kind : uint8_t { accepting, finishing, leaving, empty };
  Kind kind;
  unsigned ordinal = 0;  // of one that accepts
};
// By slot.
std::vector<Tenant> tenants_of(const Slots& slots);

// Errc::limit: there are not enough slots.
Result<std::vector<Place>> plan_succession(const std::vector<Tenant>& tenants, unsigned workers);

}  // namespace holdfast::master
