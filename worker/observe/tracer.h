// worker/observe/tracer.h - live lines about the events of one session, user or channel, for callers of GET /v1/trace.
//
// The asking worker sends every worker, once a second, its subjects; that is a lease of kLeaseMs, so a worker that is
// new learns it and a dead asker is forgotten. A worker with a lease makes a line (one JSON object) of each event and sends it to
// the asker by mailbox. Nothing traced: one look at an empty list for each event.
//
// Invariants
//   I1  At most kMaxTraces are asked for here, and at most kMaxWatches served here, whoever asks.
//   I2  At most kTurnLines lines a watch between two ticks; further ones are counted, and reported in a line "lost".
//   I3  A traced event costs its session nothing: lines are made beside the delivery, and never waited for.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "shm/session_id.h"
#include "worker/net/runtime.h"
#include "worker/observe/trace_record.h"
#include "worker/sessions/trace.h"

namespace holdfast {

class Post;
class PushRouter;

enum class TraceKind : uint8_t { session = 1, user, channel };

struct TraceSubject {
  TraceKind kind = TraceKind::session;
  shm::SessionId session;
  std::string name;  // of the user or the channel
};

handover::SubjectRecord record_of(const TraceSubject& subject);
std::optional<TraceSubject> subject_in(handover::SubjectRecord&& record);  // empty: senseless

class Tracer final : public TraceSink {
 public:
  static constexpr size_t kMaxTraces = 16, kMaxWatches = 64;
  static constexpr uint64_t kLeaseMs = 3'000, kRenewMs = 1'000;
  static constexpr uint32_t kTurnLines = 500;

  // It is told of events from here on, and gets its records from the router.
  Tracer(Runtime& runtime, PushRouter& router);

  void note(const TraceEvent& event) override;

  // A line is one JSON object without line end.
  using OnLine = std::function<void(std::string_view line)>;
  // 0: there are kMaxTraces already.
  uint64_t start(TraceSubject subject, OnLine on_line);
  void stop(uint64_t token);

  void tick();

  // Handover: the traces served here for others, and a trace that was asked for here. Nothing is counted: the
  // same traces go on.
  handover::TracerRecord save() const;
  bool restore(handover::TracerRecord&& record);
  const TraceSubject& subject_of(uint64_t token) const { return asked_.at(token).subject; }
  void restore(uint64_t token, TraceSubject subject, OnLine on_line);

 private:
  struct Watch {
    uint16_t asker;
    uint64_t token;
    TraceSubject subject;
    uint64_t until_ms;
    uint32_t lines = 0;  // since the last tick
    uint64_t lost = 0;
  };
  struct Trace {
    TraceSubject subject;
    OnLine on_line;
  };
  void watched();
  void lease(uint16_t asker, uint64_t token, TraceSubject subject);
  void renew();
  void on_watch(uint16_t from, std::string_view body);
  void on_line(std::string_view body);
  static bool concerns(const TraceSubject& subject, const TraceEvent& event);
  void send(Watch& watch, std::string_view line);

  Runtime& runtime_;
  Post& post_;
  const uint16_t slots_;
  std::vector<Watch> watches_;       // served here
  std::map<uint64_t, Trace> asked_;  // asked for here
  uint64_t next_token_ = 1;
  uint64_t renew_at_ms_ = 0;
};

}  // namespace holdfast
