// worker/handover/sender.h - the predecessor's side: gives a slot with everything in it to the process at the
// other end.
//
// It runs between two turns of the loop and blocks: from its first byte to its last nothing else happens in
// this process, so it reads one moment's state, and if it fails the worker goes on from that moment.
//
//   step               if this process dies here      if the successor dies here
//   sending            a crash of the slot            the worker goes on
//   all acknowledged   a crash of the slot            the worker goes on
//   'r' received       a crash of the slot            the worker goes on
//   commit             (one store)
//   after it           nothing: it was to go          a crash of the slot
//
// The commit is the store of the successor's pid in SlotHead::pid (release): everything this process has
// written into the segment is before it, and it writes nothing there afterwards.
#pragma once

#include "worker/api/homes.h"
#include "worker/backends/registry.h"
#include "worker/clients/homes.h"
#include "worker/handover/former_config.h"
#include "worker/handover/parcels.h"

namespace holdfast::handover {

// All that is handed over, as the worker holds it.
struct Estate {
  const Heritage& heritage;
  Runtime& runtime;
  Hub& hub;
  Sessions& sessions;
  PushRouter& router;
  Tracer& tracer;
  Backends& backends;
  ClientHomes& clients;
  ApiHomes& apis;
  FormerConfig& former;
  ConnectionTable& connections;
};

inline constexpr uint64_t kPatienceMs = 5'000;

// Ok: the slot is the other process's; this one must end without touching the segment again. Else nothing
// has changed. Needs: no API request under way (ApiHome::settled()).
Result<void> hand_over(const Estate& estate, UniqueFd socket);

}  // namespace holdfast::handover
