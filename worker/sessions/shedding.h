// worker/sessions/shedding.h - if this worker has more unsent bytes than limits.max_unsent_per_worker, the connections with the most go
// first: clients, subscribers, traces and callers of the API alike.
//
// Only connections whose socket is full are considered: for the others the bytes just wait for the end of the turn. A session is
// closed with 1008 and counted as limits.shed, an API connection is ended and counted as api.shed, until an eighth of the
// bound is free again.
#pragma once

#include "worker/net/connection.h"

namespace holdfast {

void shed_debtors(Runtime& runtime, ConnectionTable& connections);

}  // namespace holdfast
