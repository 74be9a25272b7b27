#include "worker/sessions/shedding.h"

#include <algorithm>
#include <functional>
#include <utility>
#include <vector>

#include "base/log.h"

namespace holdfast {

void shed_debtors(Runtime& runtime, ConnectionTable& connections) {
  const shm::StatsBlock& stats = runtime.stats;
  uint64_t bound = runtime.config.limits.max_unsent_per_worker, unsent = stats.bytes_unsent.get();
  if (bound == 0 || unsent <= bound) return;
  std::vector<std::pair<size_t, Connection*>> debtors;
  connections.for_each([&](Connection& connection) {
    if (connection.backlog() > 0) debtors.emplace_back(connection.owed(), &connection);
  });
  std::sort(debtors.begin(), debtors.end(), std::greater<>());
  uint64_t sessions_before = stats.limits_shed.get(), api_before = stats.api_shed.get();
  size_t ended = 0;
  for (auto& [bytes, connection] : debtors) {
    if (stats.bytes_unsent.get() <= bound - bound / 8) break;
    if (connection->retired()) continue;
    connection->shed();
    ++ended;
  }
  if (ended == 0) return;  // what is owed leaves with this turn
  static LogGate gate;
  if (uint64_t n = gate.pass())
    log_warn(
        "max_unsent_per_worker reached slot={} unsent={} now={} debtors={} sessions_closed={} "
        "api_closed={} times={}",
        runtime.slot, unsent, stats.bytes_unsent.get(), debtors.size(),
        stats.limits_shed.get() - sessions_before, stats.api_shed.get() - api_before, n);
}

}  // namespace holdfast
