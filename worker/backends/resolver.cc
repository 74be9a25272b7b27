#include "worker/backends/resolver.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace holdfast {
namespace {

constexpr size_t kMaxPacket = 4096;

// The addresses of an answer, in an order that is always the same.
std::vector<conf::Address> addresses_in(std::string_view text) {
  std::vector<conf::Address> all;
  while (!text.empty()) {
    size_t end = std::min(text.find(' '), text.size());
    std::optional<conf::Address> one = conf::parse_address(std::string(text.substr(0, end)));
    if (one && !one->is_unix()) all.push_back(*std::move(one));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  auto by_text = [](const conf::Address& a, const conf::Address& b) { return a.text < b.text; };
  std::sort(all.begin(), all.end(), by_text);
  all.erase(std::unique(all.begin(), all.end()), all.end());
  if (all.size() > fcgi::Lookups::kMaxAddresses) all.resize(fcgi::Lookups::kMaxAddresses);
  return all;
}

}  // namespace

Resolver::Resolver(Loop& loop, int fd, shm::StatsBlock& stats)
    : fd_(fd), stats_(stats), readable_(loop, fd, *this, Call<&Resolver::on_readable>{}) {
  if (fd_ != -1) readable_.watch(kRead);
}

void Resolver::ask(const std::string& name_and_port, fcgi::Lookups::Asker& asker, size_t which) {
  stats_.backend_lookups.add();
  uint64_t number = next_++;
  asked_.emplace(number, Asked{name_and_port, &asker, which, 0});
  std::string packet(sizeof number, '\0');
  std::memcpy(packet.data(), &number, sizeof number);
  packet += name_and_port;
  bool sent = fd_ != -1 && asked_.size() <= kMaxAsked &&
              send(fd_, packet.data(), packet.size(), MSG_NOSIGNAL | MSG_DONTWAIT) != -1;
  if (!sent) in_vain_.push_back(number);  // I2
}

void Resolver::forget(const fcgi::Lookups::Asker& asker) {
  std::erase_if(asked_, [&](const auto& entry) { return entry.second.asker == &asker; });
}

void Resolver::on_readable(short) {
  for (;;) {
    char packet[kMaxPacket];
    ssize_t got = recv(fd_, packet, sizeof packet, MSG_DONTWAIT);
    if (got == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (got == -1 && errno == EINTR) continue;
    if (got <= 0) {  // it has gone
      log_error("the resolver has gone: names of back ends are not looked up any more; reload");
      readable_.watch(0);
      fd_ = -1;
      return;
    }
    uint64_t number = 0;
    if (size_t(got) < sizeof number) continue;
    std::memcpy(&number, packet, sizeof number);
    answer(number, addresses_in({packet + sizeof number, size_t(got) - sizeof number}));
  }
}

void Resolver::answer(uint64_t number, std::vector<conf::Address>&& found) {
  auto it = asked_.find(number);
  if (it == asked_.end()) return;  // forgotten, or too late
  Asked asked = std::move(it->second);
  asked_.erase(it);
  if (found.empty()) {
    stats_.backend_lookups_failed.add();
    if (uint64_t n = gate_.pass())
      log_warn("back-end name not found name={} times={}; what was found before stays in use",
               asked.text, n);
  }
  asked.asker->on_addresses(asked.which, std::move(found));
}

void Resolver::tick(uint64_t now_ms) {
  for (uint64_t number : std::exchange(in_vain_, {})) answer(number, {});
  std::vector<uint64_t> late;
  for (auto& [number, asked] : asked_) {
    if (asked.since_ms == 0) asked.since_ms = now_ms;
    if (now_ms - asked.since_ms >= kDeadlineMs) late.push_back(number);
  }
  for (uint64_t number : late) answer(number, {});  // I1
}

}  // namespace holdfast
