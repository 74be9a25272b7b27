#include "worker/sessions/table.h"

#include <optional>
#include <utility>

#include "base/check.h"
#include "worker/net/memory_refused.h"
#include "worker/sessions/backend.h"
#include "worker/sessions/trace.h"
#include "worker/sessions/transport.h"

namespace holdfast {

Sessions::Sessions(Runtime& runtime, shm::Segment& segment, Hub& hub,
                   shm::Slab::Predecessor predecessor)
    : runtime_(runtime),
      segment_(segment),
      hub_(hub),
      slab_(segment.directory(), runtime.slot, runtime.config.server.node_id,
            runtime.stats.slab_high_water, predecessor),
      first_index_(runtime.slot * segment.capacities().max_sessions),
      addresses_(segment.addresses()),
      rate_(runtime.config.limits),
      resume_(runtime, segment.filter(), segment.name_key(), first_index_) {
  if (predecessor == shm::Slab::Predecessor::living) return;
  segment.addresses().begin(runtime.slot);
  // By the counters, which a death cannot have stopped half-way, and not by the entries' states.
  shm::StatsBlock& stats = runtime_.stats;
  stats.sessions_crashed.add(stats.sessions_opened.get() - stats.sessions_closed.get() -
                             stats.sessions_crashed.get());
}

std::unique_ptr<Session>& Sessions::at(const shm::SessionId& id) {
  size_t i = id.index() - first_index_;
  if (i >= by_index_.size()) by_index_.resize(i + 1);
  return by_index_[i];
}

bool Sessions::instance_full() const {
  uint64_t online = 0;
  for (uint32_t s = 0; s < segment_.capacities().max_workers; ++s)
    online += segment_.stats(s).sessions_online.get() + segment_.stats(s).sessions_detached.get();
  return online >= segment_.capacities().max_sessions;
}

Session* Sessions::create(const conf::Listen& listen, uint16_t listener, Backend& backend,
                          Transport& transport, const shm::SessionOrigin& origin) {
  std::optional<shm::SessionId> id;
  if (!instance_full()) id = slab_.claim(origin);
  if (!id) {
    if (slab_.no_page()) {
      count_memory_refused(runtime_.stats, "sessions");
    } else {
      runtime_.stats.sessions_refused_full.add();
    }
    return nullptr;
  }
  auto session = std::make_unique<Session>();
  session->id = *id;
  session->listen = &listen;
  session->listener = listener;
  session->backend = &backend;
  session->transport = &transport;
  rate_.begin(id->index() - first_index_);
  ++size_;
  ++live_;
  std::unique_ptr<Session>& place = at(*id);
  HF_CHECK(!place);
  place = std::move(session);
  size_t index = id->index() - first_index_;
  place->newcomer = index >= walk_at_ && index < walk_end_;
  return place.get();
}

void Sessions::begin_walk() {
  walk_at_ = 0;
  walk_end_ = by_index_.size();
}

Session* Sessions::next_of_walk(size_t& left) {
  constexpr size_t kEmptyPlaces = 16;  // are looked at for what a session costs
  --left;
  for (size_t n = 0; n < kEmptyPlaces && walk_at_ < walk_end_; ++n) {
    Session* session = by_index_[walk_at_++].get();
    if (session == nullptr || session->phase == SessionPhase::ended) continue;
    bool newcomer = session->newcomer;
    session->newcomer = false;
    if (!newcomer) return session;
  }
  return nullptr;
}

Session& Sessions::adopt(const shm::SessionView& view, const conf::Listen& listen,
                         Backend& backend) {
  auto session = std::make_unique<Session>();
  session->id = view.id;
  session->phase = SessionPhase::ended;
  session->ended_by = EndReason::crashed;
  session->ended_code = 1006;
  session->listen = &listen;
  session->listener = view.origin.listener;
  session->backend = &backend;
  session->user = view.user;
  session->messages_in = view.messages_in;
  session->messages_out = view.messages_out;
  ++size_;
  std::unique_ptr<Session>& place = at(view.id);
  HF_CHECK(!place);
  place = std::move(session);
  return *place;
}

Session* Sessions::find_any(const shm::SessionId& id) {
  uint32_t i = id.index() - first_index_;
  if (id.index() < first_index_ || i >= by_index_.size()) return nullptr;
  Session* session = by_index_[i].get();
  return session != nullptr && session->id == id ? session : nullptr;
}

Session* Sessions::find(const shm::SessionId& id) {
  Session* session = find_any(id);
  return session != nullptr && session->phase != SessionPhase::ended ? session : nullptr;
}

// Whoever adds a member to Session carries it here or says why not: `transport` is found by its own record
// (ClientRecord), `listen` and `backend` by number and name, `live` and `size` follow from the phases, no walk is under way (newcomer),
// and Resume carries what makes it resumable.
static_assert(sizeof(Session) == 120);

handover::SessionRecord Sessions::save(const Session& session) const {
  handover::SessionRecord record;
  record.id_hi = session.id.hi;
  record.id_lo = session.id.lo;
  record.phase = uint8_t(session.phase);
  record.ended_by = uint8_t(session.ended_by);
  record.ended_code = session.ended_code;
  record.listener = session.listener;
  record.messages_in = session.messages_in;
  record.messages_out = session.messages_out;
  record.backend_state = session.backend->save(session);
  record.expires_wall_s = expiry_.of(session.id.index());
  record.user = session.user.view();
  if (session.data) record.data.assign(session.data->begin(), session.data->end());
  record.memberships.reserve(session.memberships.size());
  for (const ChannelMember::Membership& m : session.memberships) {
    handover::MembershipRecord& membership =
        record.memberships.emplace_back(handover::MembershipRecord{m.channel->name, m.from_url});
    if (!m.catching_up || runtime_.catch_up == nullptr) continue;
    Position since = runtime_.catch_up->since_of(session, m.channel->name).value_or(Position{});
    membership.catching_up = true;
    membership.since_epoch = since.epoch;
    membership.since_offset = since.offset;
  }
  resume_.save(session, record);
  return record;
}

Session* Sessions::restore(handover::SessionRecord&& record, const conf::Listen& listen,
                           uint16_t listener, Backend& backend) {
  shm::SessionId id{record.id_hi, record.id_lo};
  bool known = id.index() >= first_index_ &&
               id.index() - first_index_ < segment_.capacities().max_sessions &&
               record.phase <= uint8_t(SessionPhase::detached);
  if (!known || at(id)) return nullptr;
  auto session = std::make_unique<Session>();
  session->id = id;
  session->phase = SessionPhase(record.phase);
  session->ended_by = EndReason(record.ended_by);
  session->ended_code = record.ended_code;
  session->listener = listener;
  session->messages_in = record.messages_in;
  session->messages_out = record.messages_out;
  session->listen = &listen;
  session->backend = &backend;
  session->user = record.user;
  if (!record.data.empty())
    session->data = std::make_unique<SessionData>(record.data.begin(), record.data.end());
  session->memberships.reserve(record.memberships.size());
  for (const handover::MembershipRecord& m : record.memberships) {
    hub_.restore(*session, m.channel, m.from_url);
    if (m.catching_up && runtime_.catch_up != nullptr)
      runtime_.catch_up->begin(*session, m.channel, {m.since_epoch, m.since_offset});
  }
  if (!backend.restore(*session, record.backend_state)) return nullptr;
  if (!resume_.restore(*session, record)) return nullptr;
  set_expiry(*session, record.expires_wall_s);
  ++size_;
  live_ += session->phase != SessionPhase::ended;
  return (at(id) = std::move(session)).get();
}

void Sessions::set_directory_listener(const Session& session, uint16_t index) {
  slab_.set_listener(session.id, index);
}

bool Sessions::take_over() {
  slab_.take_over();
  return slab_.in_use() == size_;
}

void Sessions::opened(Session& session) {
  session.phase = SessionPhase::open;
  slab_.set_state(session.id, shm::SessionState::open);
  runtime_.stats.sessions_online.add();
  runtime_.stats.sessions_opened.add();
  trace(runtime_.tracer, {.event = "open", .session = &session});
}

void Sessions::end(Session& session, EndReason reason, uint16_t code) {
  if (session.phase == SessionPhase::ended) return;
  if (session.phase == SessionPhase::open || session.phase == SessionPhase::detached) {
    bool detached = session.phase == SessionPhase::detached;
    (detached ? runtime_.stats.sessions_detached : runtime_.stats.sessions_online).sub();
    runtime_.stats.sessions_closed.add();
    if (auto counter = facts_of(reason).counter) (runtime_.stats.*counter).add();
  }
  session.phase = SessionPhase::ended;
  session.ended_by = reason;
  session.ended_code = code;
  session.transport = nullptr;
  resume_.end(session);
  --live_;
  trace(runtime_.tracer,
        {.event = "close", .session = &session, .detail = end_reason_text(reason)});
  hub_.leave_all(session);
  addresses_.leave(runtime_.slot, slab_.take_address_place(session.id));
  slab_.set_state(session.id, shm::SessionState::closing);
  session.backend->gone(session);  // may forget() it
}

void Sessions::forget(Session& session) {
  HF_CHECK(session.phase == SessionPhase::ended);
  shm::SessionId id = session.id;
  expiry_.forget(id.index());
  at(id).reset();
  slab_.release(id);
  --size_;
}

bool Sessions::deliver(Session& session, Payload& payload, Urgency urgency) {
  bool taken = session.transport != nullptr && session.transport->deliver(payload, urgency);
  bool kept = session.resumable && (taken || session.phase == SessionPhase::detached) &&
              resume_.sent(session, payload.framed(*session.listen));
  if (!taken && !kept) {
    if (session.transport == nullptr) runtime_.stats.messages_dropped.add();
    trace(runtime_.tracer,
          {.event = "dropped", .session = &session, .bytes = payload.data().size()});
    return false;
  }
  ++session.messages_out;
  runtime_.stats.messages_out.add();
  trace(runtime_.tracer, {.event = "deliver", .session = &session, .bytes = payload.data().size()});
  // A fan-out leaves this to the keep-alive check: it would touch one more cache line for each recipient.
  if (urgency == Urgency::urgent) publish_counts(session);
  return true;
}

Hub::Joined Sessions::join(Session& session, std::string_view channel, bool from_url) {
  Hub::Joined joined = hub_.join(session, channel, from_url);
  if (joined == Hub::Joined::joined)
    trace(runtime_.tracer, {.event = "join", .session = &session, .channel = channel});
  return joined;
}

bool Sessions::leave(Session& session, std::string_view channel) {
  if (!hub_.leave(session, channel)) return false;
  trace(runtime_.tracer, {.event = "leave", .session = &session, .channel = channel});
  return true;
}

void Sessions::keep_out(Session& session, std::string_view channel, std::string_view reason) {
  runtime_.stats.channels_kept_out.add();
  trace(runtime_.tracer,
        {.event = "refused", .session = &session, .channel = channel, .detail = reason});
  if (session.transport != nullptr) session.transport->kept_out(channel, reason);
}

void Sessions::set_expiry(const Session& session, uint64_t wall_s) {
  if (wall_s != 0)
    expiry_.set(session.id.index(), wall_s);
  else
    expiry_.forget(session.id.index());
}

bool Sessions::end_expired(uint64_t now_wall_s) {
  for (size_t n = 0; n < kEndSlice; ++n) {
    std::optional<uint32_t> index = expiry_.take_due(now_wall_s);
    if (!index) return false;
    Session& session = *by_index_[*index - first_index_];
    EndReasonFacts facts = facts_of(EndReason::expired);
    hang_up(session, facts.code, facts.text, EndReason::expired);
  }
  return true;
}

void Sessions::set_owes_close(Session& session, bool owes, bool connect_unanswered) {
  unsigned flags = owes ? shm::kOwesClose : 0;
  if (connect_unanswered) flags |= shm::kConnectUnanswered;
  if (session.ended_by == EndReason::crashed) flags |= shm::kCrashed;
  if (session.phase == SessionPhase::detached) flags |= shm::kDetached;
  slab_.set_flags(session.id, uint8_t(flags));
}

void Sessions::publish_counts(Session& session) {
  uint32_t unsent = session.transport == nullptr ? 0 : uint32_t(session.transport->backlog());
  slab_.set_counts(session.id, session.messages_in, session.messages_out, unsent);
}

}  // namespace holdfast
