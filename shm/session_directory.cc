#include "shm/session_directory.h"

#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "base/clock.h"
#include "shm/stats.h"

namespace holdfast::shm {
namespace {

constexpr auto kRelaxed = std::memory_order_relaxed;

bool is_state(unsigned value) {
  return value <= unsigned(SessionState::closing);
}

Control load_control(const DirectoryEntry& entry, std::memory_order order) {
  return Control::unpack(entry.control.load(order));
}

void copy_fields(const DirectoryEntry& entry, SessionView* view) {
  view->id = {entry.id_hi.load(kRelaxed), entry.id_lo.load(kRelaxed)};
  uint64_t connected = entry.connected.load(kRelaxed);
  view->connected_wall_s = connected >> 32;
  view->origin.listener = uint16_t(connected >> 16);
  view->origin.peer_port = uint16_t(connected);
  view->origin.address_place = entry.address_place.load(kRelaxed);
  uint64_t peer[2] = {entry.peer_hi.load(kRelaxed), entry.peer_lo.load(kRelaxed)};
  std::memcpy(&view->origin.peer, peer, sizeof peer);
  view->messages_in = entry.messages_in.load(kRelaxed);
  view->messages_out = entry.messages_out.load(kRelaxed);
  view->unsent_bytes = entry.unsent_bytes.load(kRelaxed);
  char user[kMaxUserBytes];
  for (size_t i = 0; i < kMaxUserBytes / 8; ++i) {
    uint64_t word = entry.user[i].load(kRelaxed);
    std::memcpy(user + 8 * i, &word, 8);
  }
  view->user.assign(user, view->control.user_bytes);
}

// All but control and user.
void write_fields(DirectoryEntry& e, const SessionView& view) {
  e.id_hi.store(view.id.hi, kRelaxed);
  e.id_lo.store(view.id.lo, kRelaxed);
  e.connected.store(
      view.connected_wall_s << 32 | uint64_t(view.origin.listener) << 16 | view.origin.peer_port,
      kRelaxed);
  uint64_t peer[2];
  std::memcpy(peer, &view.origin.peer, sizeof peer);
  e.peer_hi.store(peer[0], kRelaxed);
  e.peer_lo.store(peer[1], kRelaxed);
  e.address_place.store(view.origin.address_place, kRelaxed);
  e.messages_in.store(view.messages_in, kRelaxed);
  e.messages_out.store(view.messages_out, kRelaxed);
  e.unsent_bytes.store(view.unsent_bytes, kRelaxed);
}

void write_user(DirectoryEntry& e, std::string_view user) {
  char padded[kMaxUserBytes] = {};
  if (!user.empty()) std::memcpy(padded, user.data(), user.size());
  for (size_t i = 0; i < kMaxUserBytes / 8; ++i) {
    uint64_t word;
    std::memcpy(&word, padded + 8 * i, 8);
    e.user[i].store(word, kRelaxed);
  }
}

}  // namespace

uint64_t Control::packed() const {
  return uint64_t(version) << 32 | uint64_t(owner) << 16 | (uint64_t(state) & 0x0f) << 12 |
         (uint64_t(flags) & 0x0f) << 8 | user_bytes;
}

Control Control::unpack(uint64_t word) {
  Control c;
  c.version = uint32_t(word >> 32);
  c.owner = uint16_t(word >> 16);
  unsigned state = word >> 12 & 0x0f;
  c.state = is_state(state) ? SessionState(state) : SessionState::free;
  c.flags = uint8_t(word >> 8 & 0x0f);
  c.user_bytes = uint8_t(word);
  // Another process wrote it: a length past the field is nonsense, not a reason to read past it.
  if (c.user_bytes > kMaxUserBytes) c.user_bytes = 0;
  return c;
}

uint32_t SessionDirectory::used(uint32_t slot) const {
  if (stats_ == nullptr) return per_slab_;
  return std::min(stats_[slot].slab_high_water.load(std::memory_order_acquire), per_slab_);
}

bool SessionDirectory::in_use(uint32_t index) const {
  return index < size() && index % per_slab_ < used(index / per_slab_);  // I6
}

std::optional<uint16_t> SessionDirectory::find(const SessionId& id) const {
  if (!in_use(id.index())) return {};
  const DirectoryEntry& e = entries_[id.index()];
  uint64_t before = e.control.load(std::memory_order_acquire);
  Control c = Control::unpack(before);
  if (c.state != SessionState::connecting && c.state != SessionState::open) return {};
  // The owner decides in the end (I3), so one look is enough: a change in between shows as another
  // id or another word.
  bool same = e.id_hi.load(kRelaxed) == id.hi && e.id_lo.load(kRelaxed) == id.lo;
  if (!same || c.owner >= slots_) return {};
  return c.owner;
}

std::optional<SessionView> SessionDirectory::view(uint32_t index) const {
  if (!in_use(index)) return {};
  const DirectoryEntry& e = entries_[index];
  for (int tries = 0; tries < 3; ++tries) {
    uint64_t before = e.control.load(std::memory_order_acquire);
    SessionView view;
    view.control = Control::unpack(before);
    if (view.control.state == SessionState::free) return {};
    copy_fields(e, &view);
    std::atomic_thread_fence(std::memory_order_acquire);
    if (e.control.load(kRelaxed) == before) return view;  // I1
  }
  return {};
}

bool SessionDirectory::plant(const SessionView& view, std::atomic<uint32_t>& high_water) const {
  uint32_t slot = view.id.index() / per_slab_, nth = view.id.index() % per_slab_;
  HF_CHECK(slot < slots_ && view.user.size() <= kMaxUserBytes);
  // All below the high water will be walked.  // I6
  if (!ensure(slot * per_slab_, nth + 1)) return false;
  if (high_water.load(kRelaxed) <= nth) high_water.store(nth + 1, std::memory_order_release);
  DirectoryEntry& e = entries_[view.id.index()];
  write_fields(e, view);
  write_user(e, view.user);
  Control control = view.control;
  control.owner = uint16_t(slot);
  e.control.store(control.packed(), std::memory_order_release);  // I1
  return true;
}

Slab::Slab(SessionDirectory directory, uint16_t slot, uint16_t node,
           std::atomic<uint32_t>& high_water, Predecessor predecessor)
    : directory_(directory), slot_(slot), node_(node), high_water_(high_water) {
  HF_CHECK(slot < directory.slots());
  if (predecessor == Predecessor::living) return;
  uint32_t first = slot_ * directory_.per_slab();
  uint32_t used = std::min(high_water_.load(kRelaxed), directory_.per_slab());
  // From the top, so that low indexes end on top of the free list.
  for (uint32_t i = used; i-- > 0;) sweep(first + i);
}

void Slab::take_over() {
  uint32_t first = slot_ * directory_.per_slab();
  uint32_t used = std::min(high_water_.load(std::memory_order_acquire), directory_.per_slab());
  free_.clear();
  in_use_ = 0;
  for (uint32_t i = used; i-- > 0;) {
    Control c = load_control(directory_.entry(first + i), std::memory_order_acquire);
    if (c.state == SessionState::free)
      free_.push_back(first + i);
    else
      ++in_use_;
  }
}

void Slab::sweep(uint32_t index) {
  DirectoryEntry& e = directory_.entry(index);
  Control c = load_control(e, std::memory_order_acquire);
  bool owed = c.state != SessionState::free && (c.flags & kOwesClose) != 0;
  if (!owed) {
    if (c.state != SessionState::free) store(e, {.version = c.version, .owner = slot_});
    free_.push_back(index);
    return;
  }
  c.owner = slot_;
  c.state = SessionState::closing;
  c.flags |= kCrashed;
  store(e, c);
  if (std::optional<SessionView> view = directory_.view(index))
    orphans_.push_back(*std::move(view));
  ++in_use_;
}

// The word makes visible what was stored before it (release). The fence keeps what is stored after
// it behind it: a reader that sees one of those later fields then also sees this word or a newer
// one, so its two looks differ.
void Slab::store(DirectoryEntry& entry, Control control) {
  ++control.version;
  entry.control.store(control.packed(), std::memory_order_release);  // I1
  std::atomic_thread_fence(std::memory_order_release);
}

// Our own table names the sessions here, so a wrong id is our bug.
DirectoryEntry& Slab::mine(const SessionId& id) {
  HF_CHECK(id.index() < directory_.size());
  DirectoryEntry& e = directory_.entry(id.index());
  Control c = load_control(e, kRelaxed);
  HF_CHECK(c.state != SessionState::free && c.owner == slot_);
  HF_CHECK(e.id_hi.load(kRelaxed) == id.hi && e.id_lo.load(kRelaxed) == id.lo);
  return e;
}

std::optional<SessionId> Slab::claim(const SessionOrigin& origin) {
  uint32_t index;
  no_page_ = false;
  if (!free_.empty()) {
    index = free_.back();
    free_.pop_back();
  } else {
    uint32_t used = high_water_.load(kRelaxed);
    if (used >= directory_.per_slab()) return {};
    index = slot_ * directory_.per_slab() + used;
    uint32_t left = directory_.per_slab() - used;
    no_page_ =
        !directory_.ensure(index, 1, std::min(Pages::kAhead, (left - 1) * sizeof(DirectoryEntry)));
    if (no_page_) return {};
    high_water_.store(used + 1, std::memory_order_release);
  }
  DirectoryEntry& e = directory_.entry(index);
  SessionId id = SessionId::make(node_, index);
  write_fields(e, {.id = id, .origin = origin, .connected_wall_s = wall_ms() / 1000});
  uint32_t version = load_control(e, kRelaxed).version;
  store(e, {.version = version, .owner = slot_, .state = SessionState::connecting});
  ++in_use_;
  return id;
}

void Slab::set_state(const SessionId& id, SessionState state) {
  DirectoryEntry& e = mine(id);
  Control c = load_control(e, kRelaxed);
  c.state = state;
  store(e, c);
}

void Slab::set_flags(const SessionId& id, uint8_t flags) {
  DirectoryEntry& e = mine(id);
  Control c = load_control(e, kRelaxed);
  c.flags = flags;
  store(e, c);
}

void Slab::set_detached(const SessionId& id, bool detached) {
  DirectoryEntry& e = mine(id);
  Control c = load_control(e, kRelaxed);
  c.flags = uint8_t(detached ? c.flags | kDetached : c.flags & ~kDetached);
  store(e, c);
}

void Slab::set_peer(const SessionId& id, const SessionOrigin& origin) {
  DirectoryEntry& e = mine(id);
  SessionView view;
  copy_fields(e, &view);
  uint16_t listener = view.origin.listener;
  view.origin = origin;
  view.origin.listener = listener;
  store(e, load_control(e, kRelaxed));  // so that a reader's two looks differ  // I1
  write_fields(e, view);
  store(e, load_control(e, kRelaxed));
}

void Slab::set_listener(const SessionId& id, uint16_t listener) {
  DirectoryEntry& e = mine(id);
  uint64_t connected = e.connected.load(kRelaxed);
  uint64_t wanted = (connected & ~(uint64_t{0xffff} << 16)) | uint64_t(listener) << 16;
  if (wanted == connected) return;
  store(e, load_control(e, kRelaxed));  // so that a reader's two looks differ  // I1
  e.connected.store(wanted, kRelaxed);
  store(e, load_control(e, kRelaxed));
}

void Slab::set_user(const SessionId& id, std::string_view user) {
  HF_CHECK(user.size() <= kMaxUserBytes);
  DirectoryEntry& e = mine(id);
  Control c = load_control(e, kRelaxed);
  c.user_bytes = 0;
  store(e, c);  // I4
  write_user(e, user);
  c = load_control(e, kRelaxed);
  c.user_bytes = uint8_t(user.size());
  store(e, c);
}

uint32_t Slab::take_address_place(const SessionId& id) {
  return mine(id).address_place.exchange(kNoPlace, kRelaxed);
}

void Slab::set_counts(const SessionId& id, uint32_t messages_in, uint32_t messages_out,
                      uint32_t unsent_bytes) {
  DirectoryEntry& e = mine(id);
  e.messages_in.store(messages_in, kRelaxed);
  e.messages_out.store(messages_out, kRelaxed);
  e.unsent_bytes.store(unsent_bytes, kRelaxed);
}

void Slab::release(const SessionId& id) {
  DirectoryEntry& e = mine(id);
  store(e, {.version = load_control(e, kRelaxed).version, .owner = slot_});
  free_.push_back(id.index());
  --in_use_;
}

}  // namespace holdfast::shm
