// worker/sessions/shedding.h - where this worker owes more than limits.max_unsent_per_worker, whoever owes most goes first: clients,
// subscribers, traces and who asks the API alike.
//
// Only those whose socket is full count as debtors: for the others the bytes just wait for the end of the turn. A session is
// closed with 1008 and counted as limits.shed, an API connection is ended and counted as api.shed, until an eighth of the
// bound is free again.
#pragma once

#include "worker/net/connection.h"

namespace holdfast {

void shed_debtors(Runtime& runtime, ConnectionTable& connections);

}  // namespace holdfast
