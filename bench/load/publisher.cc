#include "bench/load/publisher.h"

#include <fmt/format.h>
#include <poll.h>

#include <algorithm>
#include <cerrno>

#include "base/clock.h"
#include "bench/load/payload.h"

namespace holdfast::bench {
namespace {

constexpr uint64_t kLastAnswersNs = 10'000'000'000;
constexpr uint64_t kMaxWaitNs = 100'000'000;

}  // namespace

Result<Publisher> Publisher::open(const Options& options, const Arena& arena) {
  Publisher publisher(options, arena);
  uint32_t lines = std::min(options.api_connections, options.addressees());
  for (uint32_t i = 0; i < lines; ++i) {
    Result<ApiClient> client = ApiClient::open(options);
    if (!client) return client.error();
    publisher.lines_.push_back({std::move(*client), {}});
  }
  publisher.spread();
  return publisher;
}

// Sessions that did not open are left out.
void Publisher::spread() {
  bool sessions = options_.scenario == Scenario::unicast;
  for (uint32_t a = 0; a < options_.addressees(); ++a)
    if (!sessions || !arena_.session(a).empty()) lines_[a % lines_.size()].addressees.push_back(a);
}

Result<void> Publisher::run() {
  uint64_t start = monotonic_ns();
  uint64_t end = start + uint64_t(options_.duration_s * 1e9);
  pacer_ = Pacer(options_.rate, start, options_.burst);
  const SilenceBoard* silences = arena_.silences();
  for (uint64_t now = start; now < end; now = monotonic_ns()) {
    if (silences != nullptr && silences->over()) break;
    fill(now);
    if (Result<void> turned = turn(pacer_.wake_ns(end)); !turned) return turned;
  }
  published_.elapsed_ns = monotonic_ns() - start;
  uint64_t limit = monotonic_ns() + kLastAnswersNs;
  while (outstanding() > 0 && monotonic_ns() < limit)
    if (Result<void> turned = turn(limit); !turned) return turned;
  if (outstanding() > 0)
    return Error{Errc::limit, 0, fmt::format("{} requests got no answer", outstanding())};
  return {};
}

size_t Publisher::outstanding() const {
  size_t sum = 0;
  for (const Line& line : lines_) sum += line.client.outstanding();
  return sum;
}

// Whatever is due, round the lines that may have one more request on their way.
void Publisher::fill(uint64_t now_ns) {
  size_t full = 0;
  while (full < lines_.size() && pacer_.due(now_ns)) {
    Line& line = lines_[next_line_];
    next_line_ = (next_line_ + 1) % lines_.size();
    bool fit = line.client.outstanding() < options_.outstanding && !line.addressees.empty();
    full = fit ? 0 : full + 1;
    if (fit) push_next(line, pacer_.take(now_ns), now_ns);
  }
}

void Publisher::push_next(Line& line, uint64_t due_ns, uint64_t now_ns) {
  uint32_t addressee = line.addressees[line.next];
  line.next = (line.next + 1) % line.addressees.size();
  Cell& sequence = arena_.published(addressee);
  sequence.add();
  payload_.clear();
  append_payload(payload_, {addressee, sequence.get(), due_ns}, options_.payload_bytes);
  ++published_.requests;
  if (options_.by_channel()) {
    line.client.queue_publish(options_.channel_name(addressee), payload_, now_ns);
  } else {
    line.client.queue_send(arena_.session(addressee), payload_, now_ns);
  }
}

Result<void> Publisher::turn(uint64_t until_ns) {
  std::vector<pollfd> fds;
  for (Line& line : lines_) {
    if (Result<void> written = line.client.write(); !written) return written;
    short events = line.client.wants_to_write() ? POLLIN | POLLOUT : POLLIN;
    fds.push_back({.fd = line.client.fd(), .events = events, .revents = 0});
  }
  uint64_t now = monotonic_ns();
  uint64_t wait = until_ns > now ? std::min(until_ns - now, kMaxWaitNs) : 0;
  timespec timeout{.tv_sec = 0, .tv_nsec = long(wait)};
  int ready = ppoll(fds.data(), fds.size(), &timeout, nullptr);
  if (ready == -1 && errno != EINTR) return Error{Errc::io, errno, "ppoll"};
  for (size_t i = 0; ready > 0 && i < fds.size(); ++i)
    if (fds[i].revents != 0)
      if (Result<void> collected = collect(lines_[i]); !collected) return collected;
  return {};
}

Result<void> Publisher::collect(Line& line) {
  if (Result<void> got = line.client.read(); !got) return got;
  uint64_t now = monotonic_ns();
  for (;;) {
    Result<std::optional<ApiAnswer>> answer = line.client.take(now);
    if (!answer) return answer.error();
    if (!*answer) return {};
    const ApiAnswer& got = **answer;
    ++published_.answers;
    published_.delivered += got.delivered;
    published_.answer_time.record(got.waited_ns);
    if (got.whole) continue;
    ++published_.failures;
    published_.last_trouble = got.trouble;
  }
}

}  // namespace holdfast::bench
