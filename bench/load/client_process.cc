#include "bench/load/client_process.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>

#include <cerrno>

#include "base/clock.h"
#include "bench/load/payload.h"

namespace holdfast::bench {
namespace {

constexpr uint64_t kHandshakeLimitNs = 10'000'000'000;
constexpr uint64_t kGoodbyeLimitNs = 5'000'000'000;
constexpr uint64_t kPhaseLookNs = 5'000'000;  // how late a new phase may be noticed
constexpr size_t kScratchBytes = 256 * 1024;
constexpr int kEventsPerTurn = 512;

uint32_t share_begin(const Options& options, uint32_t process) {
  return uint32_t(uint64_t{options.connections} * process / options.processes);
}

// An address has some 28,000 ports, and Linux looks through all of the first half before it takes one of the
// second (__inet_hash_connect: even ports first).
constexpr uint32_t kPerSource = 12'000;

// 127.0.0.1, 127.0.0.2, ... : only to a loopback address, and only if one is not enough.
uint32_t source_ip_of(const Options& options, uint32_t connection) {
  bool ipv4 = options.address.raw.ss_family == AF_INET;
  if (!ipv4 || !options.address.is_loopback() || options.connections <= kPerSource) return 0;
  return htonl(0x7f000001 + connection / kPerSource);
}

Result<void> allow_descriptors(size_t needed) {
  rlimit limit{};
  getrlimit(RLIMIT_NOFILE, &limit);  // cannot fail
  if (limit.rlim_cur >= needed) return {};
  limit.rlim_cur = needed;
  if (limit.rlim_max >= needed && setrlimit(RLIMIT_NOFILE, &limit) == 0) return {};
  return Error{Errc::limit, 0,
               "the descriptor limit (ulimit -n) is below " + std::to_string(needed)};
}

}  // namespace

ClientProcess::ClientProcess(const Options& options, const Arena& arena, uint32_t index)
    : options_(options),
      arena_(arena),
      block_(arena.process(index)),
      first_(share_begin(options, index)),
      scratch_(kScratchBytes),
      connections_(share_begin(options, index + 1) - first_) {
  where_.address = &options.address;
  where_.host = options.address.is_unix() ? "localhost" : options.address.text;
  where_.resp = options.scenario == Scenario::resp_fanout;
  if (where_.resp) where_.token = options.token;
}

Result<void> ClientProcess::run() {
  if (Result<void> allowed = allow_descriptors(connections_.size() + 32); !allowed) return allowed;
  epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll_) return Error{Errc::io, errno, "epoll_create1"};
  where_.epoll = epoll_.get();
  while (phase() < Phase::connect) turn(monotonic_ns() + kPhaseLookNs);
  open_all();
  reached(Phase::connect);
  while (phase() < Phase::load) turn(monotonic_ns() + kPhaseLookNs);
  if (options_.scenario == Scenario::resume)
    come_back();
  else
    carry_load();
  reached(Phase::drain);
  while (phase() < Phase::close) turn(monotonic_ns() + kPhaseLookNs);
  count_missing();
  close_all();
  reached(Phase::close);
  return {};
}

// ---- Opening

void ClientProcess::open_all() {
  pacer_ = Pacer(options_.connect_rate / options_.processes, monotonic_ns());
  while (started_ < connections_.size() || under_way_ > 0) {
    uint64_t now = monotonic_ns();
    bool more = true;
    while (more && started_ < connections_.size() && under_way_ < options_.parallel &&
           pacer_.due(now))
      more = open_next();
    time_out_handshakes(now);
    bool may_start = started_ < connections_.size() && under_way_ < options_.parallel;
    uint64_t latest = now + (more ? kPhaseLookNs : 1'000'000);
    turn(may_start ? pacer_.wake_ns(latest) : latest);
  }
}

// False: not now.
bool ClientProcess::open_next() {
  Connection& connection = connections_[started_];
  auto place = uint32_t(started_);
  uint64_t now = monotonic_ns();
  where_.source_ip = source_ip_of(options_, first_ + place);
  Started how = connection.start(where_, target_of(place), place, now);
  if (how == Started::later) return false;
  pacer_.take(now);
  ++started_;
  ++under_way_;
  ++alive_;
  if (how == Started::failed) connection.end(End::connect_failed, *this);
  return true;
}

void ClientProcess::time_out_handshakes(uint64_t now_ns) {
  while (oldest_ < started_ && !connections_[oldest_].under_way()) ++oldest_;
  for (size_t i = oldest_; i < started_; ++i) {
    Connection& connection = connections_[i];
    if (connection.began_ns() + kHandshakeLimitNs > now_ns) return;
    if (connection.under_way()) connection.end(End::timed_out, *this);
  }
}

void ClientProcess::on_open(Connection& connection, std::string_view session) {
  --under_way_;
  if (!coming_back_) block_.connected.add();
  block_.handshake.record(monotonic_ns() - connection.began_ns());
  arena_.set_session(index_of(connection), session);
}

void ClientProcess::on_end(Connection& connection, End why) {
  --alive_;
  if (!connection.was_open) --under_way_;
  switch (why) {
    case End::connect_failed:
      block_.connect_failed.add();
      break;
    case End::refused:
      block_.refused.add();
      block_.refusal_status.set(uint64_t(connection.refusal_status()));
      break;
    case End::timed_out:
      block_.timed_out.add();
      break;
    case End::closed:
      block_.closed_early.add();
      break;
    case End::broken:
      block_.broken.add();
      break;
    case End::left:
      break;
  }
}

// ---- Load

void ClientProcess::carry_load() {
  bool sends = options_.scenario == Scenario::echo;
  pacer_ =
      Pacer(options_.rate * double(connections_.size()) / options_.connections, monotonic_ns());
  while (phase() < Phase::drain) {
    uint64_t now = monotonic_ns();
    if (sends) send_due(now);
    uint64_t latest = now + kPhaseLookNs;
    turn(sends ? pacer_.wake_ns(latest) : latest);
  }
}

// Round the connections, each up to its bound of messages that are not back yet.
void ClientProcess::send_due(uint64_t now_ns) {
  size_t full = 0;
  while (full < connections_.size() && pacer_.due(now_ns)) {
    Connection& connection = connections_[next_sender_];
    next_sender_ = (next_sender_ + 1) % connections_.size();
    bool fit = connection.state() == Connection::State::open &&
               connection.outstanding < options_.outstanding;
    full = fit ? 0 : full + 1;
    if (fit) send_one(connection, pacer_.take(now_ns));
  }
}

void ClientProcess::send_one(Connection& connection, uint64_t due_ns) {
  ++connection.outstanding;
  Stamp stamp{addressee_of(connection), ++connection.sent, due_ns};
  message_.clear();
  append_payload(message_, stamp, options_.payload_bytes);
  arena_.published(stamp.addressee).set(connection.sent);
  block_.sent.add();
  connection.send(where_, ws::Opcode::text, message_);
}

// All at once, as when a network goes.
void ClientProcess::come_back() {
  for (Connection& connection : connections_)
    if (connection.state() == Connection::State::open) connection.cut(*this);
  uint64_t until = monotonic_ns() + uint64_t(options_.away_s * 1e9);
  while (monotonic_ns() < until) turn(until);
  coming_back_ = true;
  started_ = oldest_ = 0;
  open_all();
  uint64_t limit = monotonic_ns() + kHandshakeLimitNs;  // the greeting comes after the hand-shake
  while (block_.resumed.get() < alive_ && monotonic_ns() < limit) turn(limit);
}

// What a server says first to a client that has a key.
bool ClientProcess::take_greeting(std::string_view payload) {
  if (options_.scenario != Scenario::resume || !payload.starts_with(R"({"holdfast":)"))
    return false;
  if (coming_back_ && payload.find(R"("resumed":true)") != std::string_view::npos)
    block_.resumed.add();
  return true;
}

void ClientProcess::on_message(Connection& connection, std::string_view payload) {
  if (take_greeting(payload)) return;
  uint64_t now = monotonic_ns();
  std::optional<Stamp> stamp = read_payload(payload, now);
  if (!stamp) return block_.malformed.add();
  if (stamp->addressee != addressee_of(connection)) return block_.misdirected.add();
  block_.received.add();
  block_.received_bytes.add(payload.size());
  block_.last_arrival_ns.set(now);
  if (const SilenceBoard* silences = arena_.silences())
    silences->heard(index_of(connection) / options_.channels, now);
  block_.latency.record(now > stamp->due_ns ? now - stamp->due_ns : 0);
  switch (connection.check.arrived(stamp->sequence)) {
    case Arrival::in_order:
    case Arrival::after_gap:
      break;  // gaps are counted at the end: they may fill
    case Arrival::late:
      block_.reordered.add();
      break;
    case Arrival::duplicate:
      block_.duplicates.add();
      break;
  }
  if (connection.outstanding > 0) --connection.outstanding;
}

// ---- The end

void ClientProcess::count_missing() {
  for (const Connection& connection : connections_)
    if (connection.was_open)
      block_.missing.add(
          connection.check.missing_of(arena_.published(addressee_of(connection)).get()));
}

// The server closes first, so that closed ports wait (TIME_WAIT) on its side and ours can be used
// again.
void ClientProcess::close_all() {
  uint64_t limit = monotonic_ns() + kGoodbyeLimitNs;
  for (Connection& connection : connections_)
    if (connection.state() == Connection::State::open) connection.goodbye(where_);
  while (alive_ > 0 && monotonic_ns() < limit) turn(limit);
}

// ---- The loop

void ClientProcess::turn(uint64_t until_ns) {
  uint64_t now = monotonic_ns();
  uint64_t wait = until_ns > now ? until_ns - now : 0;
  timespec timeout{.tv_sec = time_t(wait / 1'000'000'000), .tv_nsec = long(wait % 1'000'000'000)};
  pollfd epoll_ready{.fd = epoll_.get(), .events = POLLIN, .revents = 0};
  // ppoll() on the epoll descriptor, because epoll_wait() counts in milliseconds.
  if (ppoll(&epoll_ready, 1, &timeout, nullptr) <= 0) return;
  epoll_event events[kEventsPerTurn];
  int ready = epoll_wait(epoll_.get(), events, kEventsPerTurn, 0);
  for (int i = 0; i < ready; ++i)
    connections_[events[i].data.u32].on_ready(where_, events[i].events, scratch_, *this);
}

uint32_t ClientProcess::addressee_of(const Connection& connection) const {
  uint32_t index = index_of(connection);
  return options_.by_channel() ? index % options_.channels : index;
}

std::string ClientProcess::target_of(uint32_t place) const {
  if (options_.scenario == Scenario::resume) {
    const char* separator = options_.path.find('?') == std::string::npos ? "?" : "&";
    std::string key = fmt::format("Holdfast-bench{:07}A", first_ + place);  // 128 bits of base64url
    return options_.path + separator + "resume=" + key + (coming_back_ ? "&seen=0" : "");
  }
  if (!options_.by_channel()) return options_.path;
  std::string channel = options_.channel_name((first_ + place) % options_.channels);
  if (where_.resp) return channel;
  const char* separator = options_.path.find('?') == std::string::npos ? "?" : "&";
  return options_.path + separator + "channel=" + channel;
}

}  // namespace holdfast::bench
