// Servers that have a name: what it stands for is looked up, and looked up again by age and on failure.
#include <algorithm>
#include <cstring>
#include <utility>

#include "base/log.h"
#include "conf/server_address.h"
#include "worker/backends/fcgi/pool_impl.h"

namespace holdfast::fcgi {
namespace {

constexpr uint64_t kSoonestMs = 1'000;  // between two questions for one name

bool same_place(const conf::Address& a, const conf::Address& b) {
  return a.raw_bytes == b.raw_bytes && std::memcmp(&a.raw, &b.raw, a.raw_bytes) == 0;
}

}  // namespace

void Pool::Impl::look_up_with(Lookups& lookups) {
  lookups_ = &lookups;
  for (size_t i = 0; i < servers_.size(); ++i)
    if (conf::is_name(servers_[i].address))
      names_.push_back(
          {.server = i, .text = servers_[i].address.text, .weight = servers_[i].weight});
}

void Pool::Impl::look_up_names() {
  for (size_t i = 0; i < names_.size(); ++i) {
    Name& name = names_[i];
    if (name.asked || now_ms() < name.due_ms) continue;
    name.asked = true;
    name.earliest_ms = now_ms() + kSoonestMs;
    lookups_->ask(name.text, *this, i);
  }
}

// It may have moved: a container that was made anew has another address.
void Pool::Impl::name_failed(size_t server) {
  for (Name& name : names_) {
    bool its = name.server == server ||
               std::find(name.others.begin(), name.others.end(), server) != name.others.end();
    if (its) name.due_ms = std::min(name.due_ms, name.earliest_ms);
  }
}

void Pool::Impl::on_addresses(size_t which, std::vector<conf::Address>&& found) {
  Name& name = names_[which];
  name.asked = false;
  name.due_ms = now_ms() + (found.empty() ? kSoonestMs : backend_.resolve_every_ms);
  if (found.empty()) return;  // what was found before stays in use
  use_addresses(name, std::move(found));
  run_queue();
  deliver();
}

// Who has one of the addresses already, keeps it; the rest is given to who has none.
void Pool::Impl::use_addresses(Name& name, std::vector<conf::Address>&& found) {
  auto take = [&](size_t server) {
    auto it = std::find_if(found.begin(), found.end(), [&](const conf::Address& address) {
      return same_place(address, servers_[server].address);
    });
    if (it == found.end()) return false;
    found.erase(it);
    return true;
  };
  bool stays = take(name.server);
  std::vector<size_t> free;
  for (size_t server : name.others) choice_.set_weight(server, take(server) ? name.weight : 0);
  if (!stays && !found.empty()) {
    conf::Address& address = servers_[name.server].address;
    std::string text = std::exchange(address.text, {});
    log_info("back-end name found backend={} name={} address={}", backend_.name, text,
             found.front().text);
    address = std::move(found.front());
    address.text = std::move(text);
    found.erase(found.begin());
    choice_.accepted(name.server);  // what failed was another
    seen(name.server) = {};
    stays = true;
  }
  choice_.set_weight(name.server, stays ? name.weight : 0);
  for (conf::Address& address : found) {
    size_t server = spare_server(name);
    log_info("back-end name found backend={} name={} address={}", backend_.name, name.text,
             address.text);
    servers_[server].address = std::move(address);
    choice_.set_weight(server, name.weight);
    choice_.accepted(server);
    seen(server) = {};
    if (std::find(name.others.begin(), name.others.end(), server) == name.others.end())
      name.others.push_back(server);
  }
}

// A place in servers_ that nobody means any more, or a new one: names whose addresses change for ever take no more places for
// it.
size_t Pool::Impl::spare_server(const Name& name) {
  for (size_t server : name.others) {
    auto uses = [&](const auto& connection) { return connection->server() == server; };
    if (choice_.weight(server) == 0 && std::none_of(connections_.begin(), connections_.end(), uses))
      return server;
  }
  servers_.push_back({{}, 0});
  choice_.add(0);
  return servers_.size() - 1;
}

}  // namespace holdfast::fcgi
