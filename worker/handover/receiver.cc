#include "worker/handover/receiver.h"

#include <fmt/format.h>
#include <unistd.h>

#include <utility>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/process_clock.h"
#include "worker/api/connection.h"
#include "worker/api/record.h"
#include "worker/backends/app_backend.h"
#include "worker/net/shelf.h"

namespace holdfast::handover {
namespace {

// The predecessor's own patience is shorter; this one ends a successor whose predecessor hangs.
constexpr uint64_t kSuccessorPatienceMs = 60'000;
constexpr uint64_t kCommitLookMs = 100;

Error senseless(std::string_view what) {
  return {Errc::bad_input, 0, fmt::format("{} makes no sense to this version", what)};
}

class Receiver {
 public:
  Receiver(const Estate& estate, Channel& channel) : estate_(estate), channel_(channel) {
    estate_.runtime.shelf = &shelf_;
  }
  ~Receiver() { estate_.runtime.shelf = nullptr; }
  Result<void> run();
  uint64_t forgone() const { return forgone_; }

 private:
  Result<void> take_everything();
  Result<void> take(Parcel& parcel);
  Result<void> take_whole(Parcel& parcel);
  Result<void> take_slot(std::string_view bytes);
  Result<void> take_session(std::string_view bytes);
  Result<void> take_client(std::string_view bytes, UniqueFd fd);
  Result<void> take_api(std::string_view bytes, UniqueFd fd);
  Result<void> take_backend(std::string_view bytes);
  Result<void> take_request(std::string_view bytes, UniqueFd fd);
  Result<void> take_end(std::string_view bytes);
  Result<void> take_buffer(std::string_view bytes);
  Result<void> take_unknown(Kind kind);
  Result<void> wait_for_commit();
  void refuse(const Error& why);
  Session* session_by_id(const shm::SessionId& id) { return estate_.sessions.find_any(id); }

  const Estate& estate_;
  Channel& channel_;
  Shelf shelf_;
  EndRecord taken_;
  std::string parts_;         // of a record that is longer than a frame
  uint64_t forgone_ = 0;      // api connections whose listener is gone
  uint64_t passed_over_ = 0;  // parcels of unknown kinds
  bool has_slot_ = false;
  bool complete_ = false;
};

Result<void> Receiver::run() {
  Result<void> done = take_everything();
  if (!done) {
    refuse(done.error());
    return done;
  }
  HF_FAULT("takeover.before_ready");
  auto pid = uint32_t(getpid());
  std::string_view body(reinterpret_cast<const char*>(&pid), sizeof pid);
  if (Result<void> sent = channel_.send('r', body); !sent) return sent;
  HF_FAULT("takeover.after_ready");
  return wait_for_commit();
}

Result<void> Receiver::take_everything() {
  while (!complete_) {
    Result<Frame> frame = channel_.receive();
    if (!frame) return std::move(frame.error());
    if (frame->type != 'p') return senseless("a frame of the handover");
    ParcelReader parcels(*frame);
    while (std::optional<Parcel> parcel = parcels.next()) {
      HF_FAULT("takeover.parcel");
      if (Result<void> done = take(*parcel); !done) return done;
    }
    if (!parcels.ok()) return senseless("a batch of the handover");
    if (Result<void> sent = channel_.send('a', {}); !sent) return sent;
  }
  return {};
}

// A record that came in pieces is one again with its last.
Result<void> Receiver::take(Parcel& parcel) {
  if (parcel.kind != Kind::part && parts_.empty()) return take_whole(parcel);
  if (parts_.size() + parcel.record.size() > UINT32_MAX) return senseless("a parcel's length");
  parts_ += parcel.record;
  if (parcel.kind == Kind::part) return {};
  std::string whole = std::exchange(parts_, {});
  parcel.record = whole;
  return take_whole(parcel);
}

Result<void> Receiver::take_whole(Parcel& parcel) {
  if (complete_ || has_slot_ == (parcel.kind == Kind::slot))
    return senseless("the order of parcels");
  switch (parcel.kind) {
    case Kind::slot:
      return take_slot(parcel.record);
    case Kind::session:
      return take_session(parcel.record);
    case Kind::client:
      return take_client(parcel.record, std::move(parcel.fd));
    case Kind::backend:
      return take_backend(parcel.record);
    case Kind::request:
      return take_request(parcel.record, std::move(parcel.fd));
    case Kind::api:
      return take_api(parcel.record, std::move(parcel.fd));
    case Kind::end:
      return take_end(parcel.record);
    case Kind::buffer:
      return take_buffer(parcel.record);
    case Kind::part:
      break;
  }
  return take_unknown(parcel.kind);
}

Result<void> Receiver::take_unknown(Kind kind) {
  if (!may_be_passed_over(kind)) return senseless("a kind of parcel");
  if (passed_over_++ == 0)
    log_info("parcels of a later version are passed over slot={} first_kind={}",
             estate_.heritage.slot, unsigned(kind));
  return {};
}

Result<void> Receiver::take_slot(std::string_view bytes) {
  SlotRecord record;
  if (!load(bytes, record) || record.slot != estate_.heritage.slot) return senseless("the slot");
  has_slot_ = true;
  if (record.stood_still_ms != process_clock.stood_still_ms()) {
    process_clock.continue_from(record.stood_still_ms);
    estate_.runtime.now_ms = process_ms();
    estate_.runtime.wheel.begin_at(estate_.runtime.now_ms);
  }
  if (Result<void> moved = estate_.former.move_in(std::move(record.config)); !moved) return moved;
  if (!estate_.router.post().restore(std::move(record.letters))) return senseless("a letter");
  TracerRecord tracer;
  if (!load(record.tracer, tracer) || !estate_.tracer.restore(std::move(tracer)))
    return senseless("a trace");
  return {};
}

Result<void> Receiver::take_session(std::string_view bytes) {
  SessionRecord record;
  if (!load(bytes, record)) return senseless("a session");
  ClientHome* home = estate_.former.client_home(record.listener);
  Backend* backend = estate_.former.backend(record.backend);
  if (home == nullptr || backend == nullptr) return senseless("a session's listener or backend");
  ++taken_.sessions;
  if (estate_.sessions.restore(std::move(record), home->listen, home->listener, *backend) ==
      nullptr)
    return senseless("a session");
  return {};
}

Result<void> Receiver::take_client(std::string_view bytes, UniqueFd fd) {
  ClientRecord record;
  if (!fd || !load(bytes, record)) return senseless("a client");
  ClientHome* home = estate_.former.client_home(record.listener);
  if (home == nullptr) return senseless("a client's listener");
  Session* session = session_by_id({record.session_hi, record.session_lo});
  std::unique_ptr<Client> client =
      Client::restore(*home, std::move(fd), std::move(record), session);
  if (client == nullptr) return senseless("a client");
  ++taken_.clients;
  estate_.connections.restore(std::move(client));
  return {};
}

Result<void> Receiver::take_api(std::string_view bytes, UniqueFd fd) {
  NamedRecord named;
  ApiRecord record;
  if (!fd || !load(bytes, named) || !load(named.record, record))
    return senseless("an api connection");
  ++taken_.api_connections;
  ApiHome* home = estate_.apis.named(named.name);
  if (home == nullptr) {  // the listener was removed
    ++forgone_;
    return {};
  }
  std::unique_ptr<ApiConnection> connection =
      ApiConnection::restore(*home, std::move(fd), std::move(record));
  if (connection == nullptr) return senseless("an api connection");
  estate_.connections.restore(std::move(connection));
  return {};
}

Result<void> Receiver::take_backend(std::string_view bytes) {
  NamedRecord named;
  if (!load(bytes, named)) return senseless("a backend");
  ++taken_.backends;
  Backend* backend = estate_.former.backend(named.name);
  auto by_id = [this](const shm::SessionId& id) { return session_by_id(id); };
  if (backend == nullptr || !backend->restore(named.record, by_id)) return senseless("a backend");
  return {};
}

Result<void> Receiver::take_request(std::string_view bytes, UniqueFd fd) {
  NamedRecord named;
  if (!fd || !load(bytes, named)) return senseless("a request");
  ++taken_.requests;
  Backend* backend = estate_.former.backend(named.name);
  if (backend == nullptr || !backend->restore(named.record, std::move(fd)))
    return senseless("a request");
  return {};
}

Result<void> Receiver::take_end(std::string_view bytes) {
  EndRecord end;
  if (!load(bytes, end)) return senseless("the end");
  bool all = end.sessions == taken_.sessions && end.clients == taken_.clients &&
             end.api_connections == taken_.api_connections && end.backends == taken_.backends &&
             end.requests == taken_.requests;
  if (!all) return senseless("the number of parcels");
  for (const PublishedRecord& p : end.published)
    estate_.hub.restore_published(p.channel, p.messages, {p.seen_epoch, p.seen_offset});
  // The directory is the predecessor's until the commit, but it writes nothing meanwhile.
  if (!estate_.sessions.take_over())
    return Error{Errc::bad_input, 0, "the sessions sent are not those of the directory"};
  complete_ = true;
  return {};
}

Result<void> Receiver::take_buffer(std::string_view bytes) {
  SharedRecord record;
  if (!load(bytes, record)) return senseless("a shared buffer");
  shelf_.keep(record.number, BufferRef::concat(record.bytes).tagged(record.tag));
  return {};
}

void Receiver::refuse(const Error& why) {
  if (why.code == Errc::gone) return;
  if (Result<void> sent = channel_.send('x', why.text()); !sent)
    log_debug("predecessor not told error=\"{}\"", sent.error().text());
}

// Whatever became of the word 'c': the segment says whose the slot is. The predecessor stores nothing there
// after this socket has ended; while it has not, it may still commit, so there is no patience to lose. And one that
// stands still behind its commit is not waited for: nobody else would keep the slot's heartbeat.
Result<void> Receiver::wait_for_commit() {
  channel_.set_patience(kCommitLookMs);
  shm::SlotHead& head = estate_.heritage.segment->slot(estate_.heritage.slot);
  for (;;) {
    Result<Frame> answer = channel_.receive();
    if (head.pid.load(std::memory_order_acquire) == uint32_t(getpid())) return {};
    if (answer) return senseless("the predecessor's last word");
    if (answer.error().code != Errc::busy) return std::move(answer.error());
  }
}

}  // namespace

Result<void> take_over(const Estate& estate, UniqueFd socket) {
  uint64_t began_ms = monotonic_ms();
  Channel channel(std::move(socket), kSuccessorPatienceMs, [] {});
  HF_FAULT("takeover.begin");
  Receiver receiver(estate, channel);
  Result<void> done = receiver.run();
  if (done && receiver.forgone() > 0) {
    // They were counted, and are closed as this process has not kept them.
    estate.runtime.stats.connections_open.sub(receiver.forgone());
    log_warn("api connections of removed listeners closed count={}", receiver.forgone());
  }
  if (done)
    log_info("slot taken over slot={} sessions={} connections={} ms={}", estate.heritage.slot,
             estate.sessions.size(), estate.connections.size(), monotonic_ms() - began_ms);
  return done;
}

}  // namespace holdfast::handover
