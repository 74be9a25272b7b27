// worker/api/http/batch.h - POST /v1/batch: commands carried out strictly one after the other.
#pragma once

#include "worker/api/http/exchange.h"
#include "worker/api/http/json_command.h"

namespace holdfast::api {

// Answers the exchange when the last command has its result. An item with an error has that as its
// result, and the others run; one whose key has been used has its first answer (idempotency.h).
void run_batch(const Exchange& exchange, std::vector<ParsedCommand> items);

}  // namespace holdfast::api
