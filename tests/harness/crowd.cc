#include "tests/harness/crowd.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <exception>
#include <filesystem>
#include <sstream>
#include <stdexcept>
#include <thread>

#include "tests/harness/crowd_member.h"
#include "tests/harness/process.h"

namespace holdfast::test {
namespace {

constexpr uint64_t kTickMs = 5;
constexpr unsigned kMostConnecting = 64;  // so that no listening queue overflows

}  // namespace

struct Crowd::Impl {
  CrowdCore core;
  std::vector<std::pair<CrowdKind, unsigned>> waiting;  // to connect: kind and ordinal
  uint64_t tick_ms = 0, churn_at_ms = 0;
  bool hold = false, leaving = false, all_seen = false;

  explicit Impl(const CrowdOptions& options);
  void turn();
  void tick();
  void connect_some();
  void churn();
  bool all_are(Member::State state) const;
  bool is_settled() const;
};

Crowd::Impl::Impl(const CrowdOptions& options) {
  core.options = options;
  core.chance.seed(options.seed);
  core.poll = UniqueFd(epoll_create1(EPOLL_CLOEXEC));
  for (size_t kind = 0; kind < std::size(options.count); ++kind)
    for (unsigned i = 0; i < options.count[kind]; ++i) waiting.emplace_back(CrowdKind(kind), i);
}

void Crowd::Impl::turn() {
  epoll_event events[256];
  int n = epoll_wait(core.poll.get(), events, std::size(events), int(kTickMs));
  core.now_ms = monotonic_ms();
  all_seen = n < int(std::size(events));
  for (int i = 0; i < n; ++i) core.members.at(events[i].data.u32)->on_event(events[i].events);
  if (core.now_ms >= tick_ms + kTickMs) tick();
}

void Crowd::Impl::tick() {
  tick_ms = core.now_ms;
  for (auto& [id, member] : core.members) member->on_time();
  for (auto at = core.members.begin(); at != core.members.end();) {
    const Member& member = *at->second;
    bool gone = member.state() == Member::State::gone;
    if (gone && !leaving) waiting.emplace_back(member.kind(), member.ordinal());
    at = gone ? core.members.erase(at) : std::next(at);
  }
  connect_some();
  churn();
}

void Crowd::Impl::connect_some() {
  unsigned connecting = 0;
  for (const auto& [id, member] : core.members)
    connecting += member->state() < Member::State::ready;
  while (!hold && !waiting.empty() && connecting++ < kMostConnecting) {
    auto [kind, ordinal] = waiting.back();
    waiting.pop_back();
    auto member = std::make_unique<Member>(core, kind, ordinal);
    Member& fresh = *member;
    core.members.emplace(fresh.id(), std::move(member));
    fresh.doom(core.peril);
    fresh.begin();
  }
}

void Crowd::Impl::churn() {
  if (core.options.churn_ms == 0 || core.quiet || hold || core.now_ms < churn_at_ms ||
      core.members.empty())
    return;
  churn_at_ms = core.now_ms + core.options.churn_ms / 2 + core.pick(core.options.churn_ms);
  auto at = core.members.lower_bound(core.pick(core.members.rbegin()->first + 1));
  if (at->second->state() == Member::State::ready && at->second->is_client()) at->second->leave();
}

bool Crowd::Impl::all_are(Member::State state) const {
  if (!waiting.empty()) return false;
  for (const auto& [id, member] : core.members)
    if (member->state() != state) return false;
  return true;
}

bool Crowd::Impl::is_settled() const {
  if (!all_seen || !all_are(Member::State::ready)) return false;
  for (const auto& [id, member] : core.members)
    if (!member->idle()) return false;
  return core.ledger.complete();
}

Crowd::Crowd(const CrowdOptions& options) : impl_(std::make_unique<Impl>(options)) {
  if (!run_until([&] { return impl_->all_are(Member::State::ready) || violations() > 0; }) ||
      violations() > 0)
    throw std::runtime_error("the crowd could not connect:\n" + violation_text() + state_text());
}

Crowd::~Crowd() = default;

bool Crowd::run_until(const std::function<bool()>& condition, int ms) {
  uint64_t end = monotonic_ms() + uint64_t(ms);
  do {
    impl_->turn();
    if (condition()) return true;
  } while (impl_->core.now_ms < end);
  return false;
}

bool Crowd::exchange(uint64_t count) {
  uint64_t wanted = received() + count;
  return run_until([&] { return received() >= wanted; });
}

void Crowd::during(const std::function<void()>& blocking) {
  std::atomic<bool> done = false;
  std::exception_ptr thrown;
  std::jthread thread([&] {
    try {
      blocking();
    } catch (...) {
      thrown = std::current_exception();
    }
    done = true;
  });
  while (!done) impl_->turn();
  thread.join();
  if (thrown) std::rethrow_exception(thrown);
}

void Crowd::settle() {
  impl_->core.quiet = true;
  uint64_t last = received(), last_ms = monotonic_ms(), look_ms = 0;
  while (impl_->core.now_ms < last_ms + uint64_t(timeout_ms())) {
    impl_->turn();
    if (received() != last) last_ms = impl_->core.now_ms;
    last = received();
    if (impl_->core.now_ms < look_ms) continue;
    look_ms = impl_->core.now_ms + 20;
    if (impl_->is_settled()) return;
  }
  impl_->core.ledger.report_missing();
  impl_->core.violations.add({"the crowd", "to become quiet", "\n" + state_text()});
}

void Crowd::resume() {
  impl_->core.quiet = false;
}

void Crowd::leave() {
  settle();
  impl_->leaving = true;
  for (auto& [id, member] : impl_->core.members)
    if (member->state() == Member::State::ready) member->leave();
  if (!run_until([&] { return impl_->core.members.empty(); }))
    impl_->core.violations.add({"the crowd", "to be let go", "\n" + state_text()});
}

void Crowd::doom(const std::set<PortPair>& connections) {
  for (auto& [id, member] : impl_->core.members)
    if (connections.contains(member->ports())) member->doom(true);
}

void Crowd::doom(CrowdKind kind) {
  for (auto& [id, member] : impl_->core.members)
    if (member->kind() == kind) member->doom(true);
}

void Crowd::doom_all() {
  for (auto& [id, member] : impl_->core.members) member->doom(true);
}

size_t Crowd::doomed() const {
  size_t n = 0;
  for (const auto& [id, member] : impl_->core.members)
    n += member->doomed() && member->state() != Member::State::gone;
  return n;
}

void Crowd::drop_doomed() {
  for (auto& [id, member] : impl_->core.members)
    if (member->doomed()) member->drop();
}

void Crowd::reprieve() {
  for (auto& [id, member] : impl_->core.members) member->doom(false);
}

void Crowd::peril(bool on) {
  impl_->core.peril = on;
  on ? doom_all() : reprieve();
}

void Crowd::trouble(bool on) {
  impl_->core.trouble = on;
}

void Crowd::aim_at(const CrowdOptions& options) {
  for (size_t kind = 0; kind < std::size(options.address); ++kind)
    impl_->core.options.address[kind] = options.address[kind];
}

void Crowd::hold_newcomers(bool on) {
  impl_->hold = on;
}

size_t Crowd::members() const {
  return impl_->core.members.size();
}

size_t Crowd::clients() const {
  size_t n = 0;
  for (const auto& [id, member] : impl_->core.members)
    n += member->is_client() && member->state() == Member::State::ready;
  return n;
}

uint64_t Crowd::received() const {
  return impl_->core.received;
}

uint64_t Crowd::violations() const {
  return impl_->core.violations.count();
}

std::string Crowd::violation_text() const {
  return impl_->core.violations.text();
}

std::string Crowd::state_text() const {
  std::string text = std::to_string(impl_->waiting.size()) + " wait to connect, " +
                     std::to_string(doomed()) + " are doomed\n";
  unsigned lines = 0;
  for (const auto& [id, member] : impl_->core.members)
    if ((member->state() != Member::State::ready || !member->idle()) && ++lines <= 20)
      text += member->describe() + "\n";
  return text;
}

// "0100007F:1F90" of /proc/net/tcp.
static uint16_t port_in(const std::string& address) {
  return uint16_t(std::stoul(address.substr(address.find(':') + 1), nullptr, 16));
}

std::set<PortPair> connections_of(int pid) {
  std::set<std::string> inodes;
  std::error_code error;
  for (const auto& entry :
       std::filesystem::directory_iterator("/proc/" + std::to_string(pid) + "/fd", error)) {
    std::string link = std::filesystem::read_symlink(entry.path(), error).string();
    if (link.starts_with("socket:[")) inodes.insert(link.substr(8, link.size() - 9));
  }
  std::set<PortPair> found;
  std::istringstream lines(read_file("/proc/net/tcp"));
  std::string line, number, local, remote, word, inode;
  std::getline(lines, line);
  while (std::getline(lines, line)) {
    std::istringstream words(line);
    words >> number >> local >> remote;
    for (int i = 0; i < 6; ++i) words >> word;
    words >> inode;
    if (inodes.contains(inode)) found.insert({port_in(remote), port_in(local)});
  }
  return found;
}

}  // namespace holdfast::test
