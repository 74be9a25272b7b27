#include "worker/api/session_pages.h"

#include "worker/net/address_text.h"

namespace holdfast::api {
namespace {

bool can_be_pushed_to(const shm::SessionView& view) {
  return view.control.state == shm::SessionState::connecting ||
         view.control.state == shm::SessionState::open;
}

}  // namespace

SessionPage read_sessions(const shm::SessionDirectory& directory, uint64_t from, uint32_t limit,
                          std::string_view user_prefix) {
  SessionPage page;
  uint32_t scanned = 0;
  for (uint64_t index = from; index < directory.size(); ++index) {
    uint32_t per_slab = directory.per_slab();
    auto slot = uint32_t(index / per_slab);
    if (index % per_slab >= directory.used(slot)) {  // the rest of the slab was never used
      index = uint64_t{slot + 1} * per_slab - 1;
      continue;
    }
    if (page.sessions.size() == limit || scanned++ == kMaxScan) {
      page.next = index;
      break;
    }
    std::optional<shm::SessionView> view = directory.view(uint32_t(index));
    if (view && can_be_pushed_to(*view) && view->user.starts_with(user_prefix))
      page.sessions.push_back(*std::move(view));
  }
  return page;
}

std::string_view listener_of(const shm::Segment& segment, const conf::Config& config,
                             uint16_t our_slot, const shm::SessionView& view) {
  uint16_t owner = view.control.owner;
  if (owner >= segment.capacities().max_workers || view.origin.listener >= config.listens.size())
    return {};
  if (segment.slot(owner).generation.load() != segment.slot(our_slot).generation.load()) return {};
  return config.listens[view.origin.listener].address.text;
}

std::string_view state_name(const shm::SessionView& view) {
  if (view.control.state != shm::SessionState::open) return "connecting";
  return (view.control.flags & shm::kDetached) != 0 ? "detached" : "open";
}

void write_session(json::Writer& json, const shm::SessionView& view, std::string_view listener) {
  json.key("session").string(view.id.hex());
  json.key("user").string(view.user);
  json.key("state").string(state_name(view));
  json.key("worker").number(view.control.owner);
  if (!listener.empty()) json.key("listener").string(listener);
  json.key("peer").string(is_unix(view.origin) ? "unix" : address_text(view.origin.peer));
  json.key("port").number(view.origin.peer_port);
  json.key("connected_s").number(view.connected_wall_s);
  json.key("messages_in").number(view.messages_in);
  json.key("messages_out").number(view.messages_out);
  json.key("unsent_bytes").number(view.unsent_bytes);
}

}  // namespace holdfast::api
