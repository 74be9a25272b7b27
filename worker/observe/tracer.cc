#include "worker/observe/tracer.h"

#include <algorithm>

#include "base/bytes.h"
#include "base/clock.h"
#include "wire/json/writer.h"
#include "worker/routing/push_router.h"
#include "worker/sessions/session.h"

namespace holdfast {
namespace {

std::string line_of(const TraceEvent& e, uint16_t slot) {
  json::Writer json;
  json.begin_object().key("at_ms").number(wall_ms());
  json.key("worker").number(slot);
  json.key("event").string(e.event);
  if (e.session != nullptr) json.key("session").string(e.session->id.hex());
  std::string_view user = e.session != nullptr ? e.session->user.view() : e.user;
  if (!user.empty()) json.key("user").string(user);
  if (!e.channel.empty()) json.key("channel").string(e.channel);
  if (e.bytes != SIZE_MAX) json.key("bytes").number(e.bytes);
  if (!e.detail.empty()) json.key("detail").string(e.detail);
  json.end_object();
  return json.take();
}

std::string lost_line(uint64_t lines, uint16_t slot) {
  json::Writer json;
  json.begin_object().key("at_ms").number(wall_ms());
  json.key("worker").number(slot);
  json.key("event").string("lost").key("lines").number(lines).end_object();
  return json.take();
}

}  // namespace

Tracer::Tracer(Runtime& runtime, PushRouter& router)
    : runtime_(runtime), post_(router.post()), slots_(router.slots()) {
  runtime.tracer = this;
  post_.read_with(RecordKind::watch,
                  [this](uint16_t from, std::string_view body) { on_watch(from, body); });
  post_.read_with(RecordKind::line, [this](uint16_t, std::string_view body) { on_line(body); });
}

void Tracer::watched() {
  on_ = !watches_.empty();
}

// ---- what happens here

bool Tracer::concerns(const TraceSubject& subject, const TraceEvent& event) {
  switch (subject.kind) {
    case TraceKind::session:
      return event.session != nullptr && event.session->id == subject.session;
    case TraceKind::user:
      return event.session != nullptr
                 ? event.session->user == subject.name || event.user == subject.name
                 : event.user == subject.name;
    case TraceKind::channel:
      return event.channel == subject.name;
  }
  return false;
}

void Tracer::note(const TraceEvent& event) {
  std::string line;
  for (Watch& watch : watches_) {
    if (!concerns(watch.subject, event)) continue;
    if (watch.lines >= kTurnLines) {  // I2
      ++watch.lost;
      runtime_.stats.trace_dropped.add();
      continue;
    }
    if (line.empty()) line = line_of(event, runtime_.slot);
    ++watch.lines;
    send(watch, line);
  }
}

void Tracer::send(Watch& watch, std::string_view line) {
  std::string body;
  ByteWriter out(body);
  out.put(watch.token);
  body += line;
  if (watch.asker == runtime_.slot) {
    on_line(body);
  } else if (!post_.send(watch.asker, RecordKind::line, body)) {  // I3
    ++watch.lost;
    runtime_.stats.trace_dropped.add();
    return;
  }
  runtime_.stats.trace_lines.add();
}

void Tracer::lease(uint16_t asker, uint64_t token, TraceSubject subject) {
  uint64_t until_ms = runtime_.now_ms + kLeaseMs;
  for (Watch& watch : watches_)
    if (watch.asker == asker && watch.token == token) {
      watch.until_ms = until_ms;
      return;
    }
  if (watches_.size() >= kMaxWatches) return runtime_.stats.trace_dropped.add();  // I1
  watches_.push_back({asker, token, std::move(subject), until_ms});
  watched();
  runtime_.stats.traces.add();
}

void Tracer::on_watch(uint16_t from, std::string_view body) {
  ByteReader in(body);
  auto token = in.get<uint64_t>();
  auto kind = in.get<uint8_t>();
  TraceSubject subject;
  subject.session.hi = in.get<uint64_t>();
  subject.session.lo = in.get<uint64_t>();
  subject.name = in.get_string();
  if (!in.ok() || kind < uint8_t(TraceKind::session) || kind > uint8_t(TraceKind::channel))
    return runtime_.stats.push_bad_record.add();
  subject.kind = TraceKind(kind);
  lease(from, token, std::move(subject));
}

// ---- handover

handover::SubjectRecord record_of(const TraceSubject& subject) {
  return {uint8_t(subject.kind), subject.session.hi, subject.session.lo, subject.name};
}

std::optional<TraceSubject> subject_in(handover::SubjectRecord&& record) {
  if (record.kind < uint8_t(TraceKind::session) || record.kind > uint8_t(TraceKind::channel))
    return {};
  return TraceSubject{
      TraceKind(record.kind), {record.session_hi, record.session_lo}, std::move(record.name)};
}

handover::TracerRecord Tracer::save() const {
  handover::TracerRecord record;
  for (const Watch& w : watches_)
    record.watches.push_back({w.asker, w.token, record_of(w.subject), w.until_ms, w.lost});
  return record;
}

bool Tracer::restore(handover::TracerRecord&& record) {
  for (handover::WatchRecord& w : record.watches) {
    std::optional<TraceSubject> subject = subject_in(std::move(w.subject));
    if (!subject || watches_.size() >= kMaxWatches) return false;
    watches_.push_back({w.asker, w.token, *std::move(subject), w.until_ms, 0, w.lost});
    watched();
  }
  return true;
}

void Tracer::restore(uint64_t token, TraceSubject subject, OnLine on_line) {
  asked_.emplace(token, Trace{std::move(subject), std::move(on_line)});
}

// ---- asked for here

uint64_t Tracer::start(TraceSubject subject, OnLine on_line) {
  if (asked_.size() >= kMaxTraces) return 0;  // I1
  // Above what a dead predecessor gave out: lines to it may still be under way.
  next_token_ = std::max(next_token_ + 1, monotonic_ns());
  asked_.emplace(next_token_, Trace{std::move(subject), std::move(on_line)});
  renew();
  return next_token_;
}

void Tracer::stop(uint64_t token) {
  asked_.erase(token);
  for (size_t i = 0; i < watches_.size(); ++i) {
    if (watches_[i].asker != runtime_.slot || watches_[i].token != token) continue;
    watches_.erase(watches_.begin() + std::ptrdiff_t(i));
    watched();
    return runtime_.stats.traces.sub();
  }
}

void Tracer::on_line(std::string_view body) {
  ByteReader in(body);
  auto token = in.get<uint64_t>();
  if (!in.ok()) return runtime_.stats.push_bad_record.add();
  auto it = asked_.find(token);
  if (it != asked_.end()) it->second.on_line(body.substr(sizeof token));
}

void Tracer::renew() {
  renew_at_ms_ = runtime_.now_ms + kRenewMs;
  for (const auto& [token, asked] : asked_) {
    lease(runtime_.slot, token, asked.subject);
    std::string body;
    ByteWriter out(body);
    out.put(token);
    out.put(uint8_t(asked.subject.kind));
    out.put(asked.subject.session.hi);
    out.put(asked.subject.session.lo);
    out.put_string(asked.subject.name);
    for (uint16_t slot = 0; slot < slots_; ++slot)
      if (slot != runtime_.slot && post_.served(slot))
        (void)post_.send(slot, RecordKind::watch, body);  // again in a second
  }
}

void Tracer::tick() {
  if (asked_.empty() && watches_.empty()) return;
  if (runtime_.now_ms >= renew_at_ms_) renew();
  for (Watch& watch : watches_) {
    watch.lines = 0;
    if (watch.lost == 0) continue;
    uint64_t lost = std::exchange(watch.lost, 0);
    send(watch, lost_line(lost, runtime_.slot));
  }
  size_t before = watches_.size();
  std::erase_if(watches_, [this](const Watch& w) { return w.until_ms <= runtime_.now_ms; });
  watched();
  runtime_.stats.traces.sub(before - watches_.size());
}

}  // namespace holdfast
