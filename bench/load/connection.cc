#include "bench/load/connection.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <cerrno>
#include <cstring>

#include "bench/load/resp.h"
#include "wire/http/response_head.h"
#include "wire/resp/request_writer.h"

namespace holdfast::bench {
namespace {

// Client processes use one loopback address each: one has not enough ports for more than 28,000
// connections.
bool bind_source(int fd, uint32_t ip) {
  int on = 1;
  sockaddr_in source{};
  source.sin_family = AF_INET;
  source.sin_addr.s_addr = ip;
  return setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &on, sizeof on) == 0 &&
         bind(fd, reinterpret_cast<sockaddr*>(&source), sizeof source) == 0;
}

// What an idle connection may keep for its next message.
constexpr size_t kKeptBytes = 1024;

// SplitMix64's mixing step: masks and keys need to vary, not to be secret.
uint64_t mixed(uint64_t x) {
  x += 0x9e3779b97f4a7c15u;
  x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9u;
  x = (x ^ (x >> 27)) * 0x94d049bb133111ebu;
  return x ^ (x >> 31);
}

}  // namespace

std::string Connection::key() const {
  return ws::make_key(mixed(began_ns_), mixed(place_));
}

bool Connection::open_socket(const Endpoint& where) {
  int family = where.address->raw.ss_family;
  fd_.reset(socket(family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  if (!fd_) return false;
  int on = 1;
  if (family != AF_UNIX) setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  return where.source_ip == 0 || bind_source(fd_.get(), where.source_ip);
}

Started Connection::start(const Endpoint& where, std::string_view target, uint32_t place,
                          uint64_t now_ns) {
  place_ = place;
  began_ns_ = now_ns;
  state_ = State::unborn;
  if (!open_socket(where)) return Started::failed;
  int got = connect(fd_.get(), reinterpret_cast<const sockaddr*>(&where.address->raw),
                    where.address->raw_bytes);
  if (got == -1 && errno == EAGAIN) {
    fd_.reset();
    return Started::later;
  }
  if (got == -1 && errno != EINPROGRESS) return Started::failed;
  state_ = State::connecting;
  out_ = where.resp ? subscribe_request(where.token, target)
                    : ws::handshake_request(where.host, target, key());
  epoll_event event{.events = EPOLLIN | EPOLLOUT, .data = {.u32 = place_}};
  watching_out_ = true;
  return epoll_ctl(where.epoll, EPOLL_CTL_ADD, fd_.get(), &event) == 0 ? Started::under_way
                                                                       : Started::failed;
}

void Connection::watch(const Endpoint& where, uint32_t events) {
  epoll_event event{.events = events, .data = {.u32 = place_}};
  epoll_ctl(where.epoll, EPOLL_CTL_MOD, fd_.get(), &event);  // cannot fail for a member
  watching_out_ = (events & EPOLLOUT) != 0;
}

void Connection::on_ready(const Endpoint& where, uint32_t events, std::span<char> scratch,
                          ConnectionSink& sink) {
  if (state_ == State::connecting) on_connected(where, sink);
  if (state_ == State::ended || state_ == State::connecting) return;
  if ((events & EPOLLOUT) != 0) flush(where);
  if ((events & (EPOLLIN | EPOLLHUP | EPOLLERR)) != 0) on_readable(where, scratch, sink);
}

void Connection::on_connected(const Endpoint& where, ConnectionSink& sink) {
  int error = 0;
  socklen_t size = sizeof error;
  if (getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0)
    return end(End::connect_failed, sink);
  state_ = State::handshaking;
  flush(where);
}

// One read for each readiness: epoll is level-triggered, and no connection may starve the others.
void Connection::on_readable(const Endpoint& where, std::span<char> scratch, ConnectionSink& sink) {
  ssize_t got = recv(fd_.get(), scratch.data(), scratch.size(), 0);
  if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (got <= 0) {
    End why = state_ == State::leaving ? End::left
              : state_ == State::open  ? End::closed
                                       : End::refused;
    return end(why, sink);
  }
  std::string_view bytes(scratch.data(), size_t(got));
  if (!in_.empty()) bytes = in_.append(bytes);
  size_t used = 0;
  if (state_ == State::handshaking) used = take_handshake(where, bytes, sink);
  if (state_ == State::open || state_ == State::leaving)
    used += take_frames(where, bytes.substr(used), sink);
  if (state_ == State::ended) return;
  if (in_.empty() && used == bytes.size()) return;
  std::string rest(bytes.substr(used));  // `bytes` may lie in in_
  in_.swap(rest);
}

size_t Connection::take_handshake(const Endpoint& where, std::string_view bytes,
                                  ConnectionSink& sink) {
  ws::HandshakeAnswer answer =
      where.resp ? read_subscribed(bytes, !where.token.empty()) : ws::read_handshake(bytes, key());
  if (answer.state == ws::HandshakeState::need_more) return 0;
  if (answer.state == ws::HandshakeState::refused) {
    refusal_status_ = answer.status;
    end(End::refused, sink);
    return 0;
  }
  state_ = State::open;
  was_open = true;
  std::optional<std::string_view> session;
  if (!where.resp) session = http::header_of(answer.head, "Holdfast-Session");
  sink.on_open(*this, session.value_or(std::string_view()));
  return answer.head.size();
}

size_t Connection::take_frames(const Endpoint& where, std::string_view bytes,
                               ConnectionSink& sink) {
  size_t used = 0;
  for (;;) {
    ws::Frame frame = where.resp ? read_push(bytes.substr(used))
                                 : ws::read_server_frame(bytes.substr(used), kMaxFrameBytes);
    if (frame.state == ws::FrameState::broken) end(End::broken, sink);
    if (frame.state != ws::FrameState::whole) return used;
    used += frame.frame_bytes;
    if (!take_frame(where, frame, sink)) return used;
  }
}

// False: the connection has ended.
bool Connection::take_frame(const Endpoint& where, const ws::Frame& frame, ConnectionSink& sink) {
  switch (frame.opcode) {
    case ws::Opcode::text:
    case ws::Opcode::binary:
      sink.on_message(*this, frame.payload);
      break;
    case ws::Opcode::ping:
      send(where, ws::Opcode::pong, frame.payload);
      break;
    case ws::Opcode::pong:
    case ws::Opcode::continuation:  // read_server_frame() has none
      break;
    case ws::Opcode::close:
      if (state_ == State::open) end(End::closed, sink);
      break;  // leaving: the answer to ours; the end of the stream follows
  }
  return state_ != State::ended;
}

void Connection::send(const Endpoint& where, ws::Opcode opcode, std::string_view payload) {
  ws::append_client_frame(out_, opcode, payload, uint32_t(mixed(began_ns_ + sent)));
  if (!watching_out_) flush(where);
}

void Connection::goodbye(const Endpoint& where) {
  state_ = State::leaving;
  if (where.resp) {
    resp::append_request(out_, {"QUIT"});
    return flush(where);
  }
  send(where, ws::Opcode::close, std::string_view("\x03\xe8", 2));  // 1000
}

void Connection::flush(const Endpoint& where) {
  if (!out_.empty()) {
    ssize_t sent_bytes = ::send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    // Of errors other than a full socket the next read tells.
    if (sent_bytes > 0) out_.erase(0, size_t(sent_bytes));
    if (sent_bytes == -1 && errno != EAGAIN) out_.clear();
  }
  if (out_.empty() && out_.capacity() > kKeptBytes) out_.shrink_to_fit();
  bool want_out = !out_.empty();
  if (want_out != watching_out_) watch(where, want_out ? EPOLLIN | EPOLLOUT : EPOLLIN);
}

void Connection::cut(ConnectionSink& sink) {
  linger at_once{.l_onoff = 1, .l_linger = 0};
  setsockopt(fd_.get(), SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
  end(End::left, sink);
  was_open = false;
}

void Connection::end(End why, ConnectionSink& sink) {
  state_ = State::ended;
  fd_.reset();
  std::string().swap(in_);
  std::string().swap(out_);
  sink.on_end(*this, why);
}

}  // namespace holdfast::bench
