#include "worker/clients/refusal.h"

#include <unistd.h>

#include <array>
#include <random>

#include "base/clock.h"
#include "base/log.h"
#include "worker/net/address_text.h"

namespace holdfast {
namespace {

constexpr size_t kReasons = size_t(Refusal::stopping) + 1;

shm::Cell& counter_of(shm::StatsBlock& stats, Refusal why) {
  switch (why) {
    case Refusal::bad_request:
      return stats.handshakes_bad_request;
    case Refusal::bad_path:
      return stats.handshakes_bad_path;
    case Refusal::bad_origin:
      return stats.handshakes_bad_origin;
    case Refusal::bad_headers:
      return stats.handshakes_bad_headers;
    case Refusal::bad_subprotocol:
      return stats.handshakes_bad_subprotocol;
    case Refusal::bad_resume:
      return stats.resume_bad_key;
    case Refusal::not_passed_on:
      return stats.resume_not_passed_on;
    case Refusal::stopping:
      break;
  }
  return stats.handshakes_stopping;
}

}  // namespace

void note_refusal(Runtime& runtime, Refusal why, const shm::SessionOrigin& from, int status,
                  std::string_view text, std::string_view values) {
  counter_of(runtime.stats, why).add();
  static std::array<LogGate, kReasons> gates;  // one reason does not hide another
  if (uint64_t n = gates[size_t(why)].pass())
    log_warn("hand-shake refused peer={} status={} reason=\"{}\"{}{} times={}", peer_text(from),
             status, text, values.empty() ? "" : " ", values, n);
}

std::string retry_after() {
  static std::minstd_rand seconds(uint32_t(monotonic_ms()) ^ uint32_t(getpid()));
  return "Retry-After: " + std::to_string(1 + seconds() % 5) + "\r\n";
}

}  // namespace holdfast
