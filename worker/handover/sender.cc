#include "worker/handover/sender.h"

#include <cstdlib>
#include <cstring>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/process_clock.h"
#include "worker/backends/app_backend.h"
#include "worker/net/shelf.h"

namespace holdfast::handover {
namespace {

// Tests make them small: real ones want gigabytes.
ParcelSender::Bounds bounds() {
  ParcelSender::Bounds bounds;
#ifdef HOLDFAST_FAULTS
  if (const char* piece = std::getenv("HF_HANDOVER_PIECE"))
    bounds.piece = std::strtoul(piece, nullptr, 10);
  if (const char* record = std::getenv("HF_HANDOVER_RECORD"))
    bounds.record = std::strtoul(record, nullptr, 10);
#endif
  return bounds;
}

class Sender {
 public:
  Sender(const Estate& estate, Channel& channel)
      : estate_(estate), channel_(channel), out_(channel, bounds()) {
    estate_.runtime.shelf = &shelf_;
  }
  ~Sender() { estate_.runtime.shelf = nullptr; }
  Result<void> run();

 private:
  Result<void> send_slot();
  Result<void> send_sessions();
  Result<void> send_connection(const Connection& connection);
  Result<void> send_shared_buffers();
  Result<void> send_connections();
  Result<void> send_backends();
  Result<void> send_backend(const std::string& name, Backend& backend);
  Result<void> send_end();
  Result<uint32_t> successor();
  Result<void> commit(uint32_t pid);

  const Estate& estate_;
  Channel& channel_;
  ParcelSender out_;
  Shelf shelf_;
  EndRecord end_;
};

Result<void> Sender::run() {
  for (auto step : {&Sender::send_slot, &Sender::send_sessions, &Sender::send_connections,
                    &Sender::send_backends, &Sender::send_end}) {
    if (Result<void> done = (this->*step)(); !done) return done;
  }
  HF_FAULT("handover.all_sent");
  Result<uint32_t> pid = successor();
  if (!pid) return std::move(pid.error());
  return commit(*pid);
}

Result<void> Sender::send_slot() {
  SlotRecord slot;
  slot.slot = estate_.heritage.slot;
  slot.generation = estate_.heritage.generation;
  slot.config = estate_.former.save();
  slot.letters = estate_.router.post().save();
  slot.tracer = save(estate_.tracer.save());
  slot.stood_still_ms = process_clock.stood_still_ms();
  return out_.put(Kind::slot, save(slot));
}

// Each session with its client right behind it, so that the successor has both in hand.
Result<void> Sender::send_sessions() {
  Result<void> done;
  estate_.sessions.for_each([&](Session& session) {
    if (!done) return;
    SessionRecord record = estate_.sessions.save(session);
    record.backend = estate_.backends.name_of(*session.backend);
    done = send_shared_buffers();
    if (done) done = out_.put(Kind::session, save(record));
    ++end_.sessions;
    HF_FAULT("handover.session_sent");
    if (done && session.transport != nullptr) done = send_connection(*session.transport);
  });
  return done;
}

Result<void> Sender::send_connection(const Connection& connection) {
  bool client = connection.kind() == ConnectionKind::client;
  ++(client ? end_.clients : end_.api_connections);
  std::string record = connection.record();
  if (Result<void> done = send_shared_buffers(); !done) return done;
  return out_.put(client ? Kind::client : Kind::api, record, connection.fd());
}

// What the record that is about to be sent refers to.
Result<void> Sender::send_shared_buffers() {
  for (const auto& [number, buffer] : shelf_.take_new()) {
    SharedRecord record{number, std::string(buffer.bytes()), buffer.tag()};
    if (Result<void> done = out_.put(Kind::buffer, save(record)); !done) return done;
  }
  return {};
}

// Those without a session: hand-shakes, farewells, pushers.
Result<void> Sender::send_connections() {
  Result<void> done;
  estate_.connections.for_each([&](Connection& connection) {
    if (!done) return;
    if (connection.goes_with_session()) return;
    if (connection.can_move()) {
      done = send_connection(connection);
    } else {
      estate_.runtime.stats.tls_cut.add();
      connection.give_up();
    }
  });
  return done;
}

Result<void> Sender::send_backends() {
  Result<void> done;
  estate_.backends.for_each([&](const std::string& name, Backend& backend) {
    if (done) done = send_backend(name, backend);
  });
  return done;
}

Result<void> Sender::send_backend(const std::string& name, Backend& backend) {
  backend.requeue_unread();
  std::string whole = backend.save();
  if (whole.empty()) return {};  // the built-in ones owe nothing
  ++end_.backends;
  NamedRecord record{name, std::move(whole)};
  if (Result<void> done = out_.put(Kind::backend, save(record)); !done) return done;
  for (auto& [request, fd] : backend.carried()) {
    ++end_.requests;
    NamedRecord carried{name, std::move(request)};
    if (Result<void> done = out_.put(Kind::request, save(carried), fd); !done) return done;
  }
  return {};
}

Result<void> Sender::send_end() {
  estate_.hub.for_each_from({}, {}, [&](const holdfast::Channel& channel) {
    if (channel.published > 0 || channel.seen.known())
      end_.published.push_back(
          {channel.name, channel.published, channel.seen.epoch, channel.seen.offset});
    return true;
  });
  if (Result<void> done = out_.put(Kind::end, save(end_)); !done) return done;
  return out_.finish();
}

Result<uint32_t> Sender::successor() {
  Result<Frame> answer = channel_.receive();
  if (!answer) return std::move(answer.error());
  if (answer->type == 'x') return Error{Errc::incompatible, 0, std::move(answer->body)};
  uint32_t pid = 0;
  if (answer->type != 'r' || answer->body.size() != sizeof pid)
    return Error{Errc::bad_input, 0, "the successor's answer makes no sense"};
  std::memcpy(&pid, answer->body.data(), sizeof pid);
  return pid;
}

Result<void> Sender::commit(uint32_t pid) {
  HF_FAULT("handover.before_commit");
  estate_.heritage.segment->slot(estate_.heritage.slot).pid.store(pid, std::memory_order_release);
  HF_FAULT("handover.after_commit");
  // It also learns it from the end of this socket, and from the word in the segment.
  if (Result<void> told = channel_.send('c', {}); !told)
    log_warn("successor not told that the slot is its own error=\"{}\"", told.error().text());
  return {};
}

}  // namespace

Result<void> hand_over(const Estate& estate, UniqueFd socket) {
  shm::SlotHead& head = estate.heritage.segment->slot(estate.heritage.slot);
  uint64_t began_ms = monotonic_ms();
  Channel channel(std::move(socket), kPatienceMs,
                  [&head] { head.heartbeat_ms.store(monotonic_ms(), std::memory_order_relaxed); });
  HF_FAULT("handover.begin");
  Result<void> done = Sender(estate, channel).run();
  if (done)
    log_info("slot handed over slot={} sessions={} connections={} ms={}", estate.heritage.slot,
             estate.sessions.size(), estate.connections.size(), monotonic_ms() - began_ms);
  return done;
}

}  // namespace holdfast::handover
