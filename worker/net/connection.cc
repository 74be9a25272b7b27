#include "worker/net/connection.h"

#include <sys/ioctl.h>
#include <sys/socket.h>

#include <cerrno>

#include "worker/net/half_open.h"
#include "worker/net/output_record.h"
#include "worker/net/shelf.h"

namespace holdfast {
namespace {
constexpr size_t kFlushBytes = 1024 * 1024;  // of one connection in one turn
constexpr ssize_t kBytesAUnit = 8'192;       // to read, whatever they are
}  // namespace

Connection::Connection(Runtime& runtime, ConnectionTable& table, UniqueFd fd)
    : runtime_(runtime), table_(table), fd_(std::move(fd)) {}

Connection::~Connection() {
  if (watching_ != 0) watch(0);
  runtime_.stats.bytes_unsent.sub(output_.held());
}

void Connection::update_watch() {
  watch(short((want_read_ ? kRead : 0) | (want_write_ ? kWrite : 0)));
}

void Connection::watch(short what) {
  table_.poller_.watch(fd_.get(), this, watching_, what);
}

void Connection::read_on(bool on) {
  bool again = on && !want_read_;
  want_read_ = on;
  if (retired_) return;
  update_watch();
  if (again) on_reading_again();
}

void Connection::on_ready(short what) {
  if (retired_) return;
  what = short(what & watching_);
  if ((what & kWrite) != 0) {
    want_write_ = false;
    flush();
  }
  if ((what & kRead) != 0 && !retired_ && want_read_) {
    if (runtime_.budget.turn_spent()) {
      runtime_.stats.loop_cut_short.add();  // I1
    } else {
      read_once();
    }
  }
  if (!retired_) update_watch();
}

void Connection::read_once() {
  ssize_t got;
  size_t most = table_.input_.most_a_read();
  do {
    got = recv(fd_.get(), runtime_.scratch.data(), most, MSG_DONTWAIT);
  } while (got == -1 && errno == EINTR);
  if (got > 0) {
    runtime_.budget.spend(got / kBytesAUnit);
    on_read(runtime_.scratch.first(size_t(got)));
  } else if (got == 0) {
    on_end_of_stream();
  } else if (errno != EAGAIN && errno != EWOULDBLOCK) {
    on_end();
  }
}

bool Connection::has_unread() const {
  int bytes = 0;
  return ioctl(fd_.get(), FIONREAD, &bytes) == 0 && bytes > 0;
}

void Connection::enqueue(BufferRef buffer, Urgency urgency) {
  if (retired_) return;
  if (buffer.size() > 0) runtime_.stats.bytes_unsent.add(buffer.size() + OutputQueue::kEntryBytes);
  output_.push(std::move(buffer));
  if (!held_ && !want_write_) runtime_.flush.add(*this, urgency);
}

void Connection::enqueue_first(BufferRef buffer) {
  size_t before = output_.held();
  output_.push_front(std::move(buffer));
  runtime_.stats.bytes_unsent.add(output_.held() - before);
}

void Connection::drop_output(bool keep_first) {
  size_t before = output_.held();
  runtime_.stats.messages_dropped.add(output_.drop_unsent(keep_first && !wrote_));
  runtime_.stats.bytes_unsent.sub(before - output_.held());
}

size_t Connection::drop_oldest_output(size_t most, uint64_t tag,
                                      const std::function<bool(const BufferRef&)>& may_go) {
  size_t before = output_.held(), dropped = output_.drop_oldest(most, tag, may_go);
  runtime_.stats.messages_dropped.add(dropped);
  runtime_.stats.messages_dropped_slow.add(dropped);
  runtime_.stats.bytes_unsent.sub(before - output_.held());
  return dropped;
}

void Connection::forget_output() {
  runtime_.stats.bytes_unsent.sub(output_.held());
  output_ = OutputQueue();
}

void Connection::hold_output(bool hold) {
  held_ = hold;
  if (!held_ && !output_empty()) runtime_.flush.add(*this, Urgency::urgent);
}

void Connection::flush() {
  if (retired_ || (asks_before_flush_ && !before_flush()) || held_) return;
  size_t before = output_.held();
  OutputQueue::Written done = transmit(output_, kFlushBytes);
  if (done.bytes > 0) {
    wrote_ = true;
    if (hears_written_) on_written();
  }
  runtime_.stats.bytes_out.add(done.bytes);
  runtime_.stats.bytes_unsent.sub(before - output_.held());
  runtime_.stats.writes.add(done.writes);
  switch (done.outcome) {
    case OutputQueue::Outcome::drained:
      on_drained();
      break;
    case OutputQueue::Outcome::more:
      runtime_.flush.add(*this, Urgency::bulk);
      break;
    case OutputQueue::Outcome::blocked:
      want_write_ = true;  // I2
      update_watch();
      break;
    case OutputQueue::Outcome::failed:
      on_end();
      break;
  }
}

handover::OutputRecord Connection::save_output() const {
  handover::OutputRecord record{{}, output_.sent(), wrote_, held_};
  output_.for_each([&](const BufferRef& buffer) {
    if (runtime_.shelf != nullptr && buffer.shared())
      record.buffers.push_back({runtime_.shelf->put(buffer), {}, 0});
    else
      record.buffers.push_back({0, std::string(buffer.bytes()), buffer.tag()});
  });
  return record;
}

bool Connection::restore_output(const handover::OutputRecord& record) {
  held_ = record.held;
  wrote_ = record.wrote;
  for (const handover::BufferRecord& b : record.buffers) {
    BufferRef buffer = b.shared == 0 ? BufferRef::concat(b.bytes).tagged(b.tag) : BufferRef();
    if (b.shared != 0 && runtime_.shelf != nullptr) buffer = runtime_.shelf->get(b.shared);
    if (!buffer) return false;
    output_.push(std::move(buffer));
  }
  return output_.set_sent(record.sent);
}

void Connection::shut_down_writing() {
  // ENOTCONN: the other side was faster; its end of file or error is about to be read.
  if (shutdown(fd_.get(), SHUT_WR) == -1 && errno != ENOTCONN) on_end();
}

void Connection::retire() {
  table_.retire(*this);
}

ConnectionTable::ConnectionTable(Runtime& runtime)
    : runtime_(runtime),
      input_(runtime),
      poller_(runtime.loop, Poller::To<Connection, &Connection::on_ready>{}),
      half_open_(std::make_unique<HalfOpen>(runtime)) {}

ConnectionTable::~ConnectionTable() = default;

void ConnectionTable::add(std::unique_ptr<Connection> connection) {
  runtime_.stats.connections_open.add();
  restore(std::move(connection));
}

void ConnectionTable::restore(std::unique_ptr<Connection> connection) {
  size_t fd = size_t(connection->fd());
  if (by_fd_.size() <= fd) by_fd_.resize(fd + 1);
  HF_CHECK(!by_fd_[fd]);
  by_fd_[fd] = std::move(connection);
  ++size_;
}

void ConnectionTable::retire(Connection& connection) {
  if (connection.retired_) return;
  connection.on_retire();
  runtime_.stats.connections_open.sub();
  take_out(connection);
}

UniqueFd ConnectionTable::release(Connection& connection) {
  HF_CHECK(!connection.retired_);
  take_out(connection);
  return std::move(connection.fd_);
}

// It is destroyed after the turn.
void ConnectionTable::take_out(Connection& connection) {
  connection.retired_ = true;
  connection.watch(0);
  connection.disarm();
  connection.unlink();
  --size_;
  runtime_.loop.defer_delete(std::move(by_fd_[size_t(connection.fd())]));
}

}  // namespace holdfast
