#include "master/control_socket.h"

#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>

#include "base/process_clock.h"
#include "master/socket_open.h"

namespace holdfast::master {

class ControlSocket::Client {
 public:
  Client(ControlSocket& home, uint64_t id, UniqueFd fd)
      : home_(home),
        id_(id),
        fd_(std::move(fd)),
        deadline_ms_(process_ms() + kPatienceMs),
        ready_(home.loop_, fd_.get(), *this, Call<&Client::on_ready>{}) {
    ready_.watch(kRead);
  }

  uint64_t id() const { return id_; }
  int fd() const { return fd_.get(); }
  // It has asked already, the former image of the master.
  void await() {
    state_ = State::waiting;
    deadline_ms_ = 0;
  }
  bool overdue(uint64_t now_ms) const { return deadline_ms_ != 0 && now_ms >= deadline_ms_; }
  // May end in retirement.
  void answer(const Answer& answer) {
    if (state_ == State::writing) return;
    state_ = State::writing;
    out_ = wire_text(answer);
    deadline_ms_ = process_ms() + kPatienceMs;
    write();
  }
  void close_in_child() { fd_.reset(); }
  // Its end of file may not wait for the children that are forked before it is buried: they have
  // inherited the descriptor.
  void hang_up() { shutdown(fd_.get(), SHUT_RDWR); }

 private:
  enum class State { reading, waiting, writing };

  void on_ready(short) { state_ == State::writing ? write() : read(); }

  void read() {
    char bytes[4096];  // more than a request: closing with bytes unread would reset the answer
    ssize_t got = recv(fd_.get(), bytes, sizeof bytes, 0);
    if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
    if (got == -1) return home_.retire(*this);
    if (state_ == State::waiting) {
      // It has said all; end of file may be only its sending side, so the answer still goes out.
      if (got == 0) ready_.watch(0);
      return;
    }
    if (got == 0 && line_.text().empty()) return home_.retire(*this);
    auto state = got == 0 ? line_.end() : line_.feed({bytes, size_t(got)});
    if (state == RequestLine::State::more) return;
    state_ = State::waiting;
    deadline_ms_ = 0;
    if (got == 0) ready_.watch(0);
    if (state == RequestLine::State::too_long) return answer({false, "request line too long", {}});
    home_.carry_out(*this, line_.text());
  }

  void write() {
    ssize_t sent = send(fd_.get(), out_.data(), out_.size(), MSG_NOSIGNAL);
    if (sent == -1 && errno != EAGAIN && errno != EINTR) return home_.retire(*this);
    if (sent > 0) out_.erase(0, size_t(sent));
    if (out_.empty()) return home_.retire(*this);
    ready_.watch(kWrite);
  }

  ControlSocket& home_;
  uint64_t id_;
  State state_ = State::reading;
  RequestLine line_;
  std::string out_;
  UniqueFd fd_;
  uint64_t deadline_ms_;  // 0: none
  IoEvent ready_;
};

Result<UniqueFd> ControlSocket::open(const std::string& path) {
  return open_unix(path, kMaxClients, {.mode = 0600, .take_over = true});
}

ControlSocket::ControlSocket(Loop& loop, UniqueFd listener, Commands& commands)
    : loop_(loop),
      listener_(std::move(listener)),
      commands_(commands),
      acceptable_(loop, listener_.get(), *this, Call<&ControlSocket::on_acceptable>{}) {
  acceptable_.watch(kRead);
}

ControlSocket::~ControlSocket() = default;

void ControlSocket::on_acceptable(short) {
  UniqueFd fd(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
  if (!fd) {
    if (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED) return;
    // The socket stays readable, so accepting pauses until the next check().
    if (auto n = accept_gate_.pass())
      log_warn("control connection not accepted error=\"{}\"; trying again in a second ({} alike)",
               std::strerror(errno), n);
    acceptable_.watch(0);
    return;
  }
  if (clients_.size() >= kMaxClients) {
    std::string refusal = wire_text({false, "too many control connections", {}});
    (void)send(fd.get(), refusal.data(), refusal.size(),
               MSG_NOSIGNAL);  // a courtesy; closing says it too
    return;
  }
  clients_.push_back(std::make_unique<Client>(*this, next_id_++, std::move(fd)));
}

void ControlSocket::carry_out(Client& client, const std::string& line) {
  auto request = parse_request(line);
  if (!request)
    return client.answer(
        {false, "unknown request; known: reload, upgrade, stop, quit, reopen-logs, ping", {}});
  switch (*request) {
    case Request::reload:
      return commands_.reload(client.id());
    case Request::upgrade:
      return commands_.upgrade(client.id());
    case Request::stop:
      commands_.stop_fast();
      return client.answer({true, "stopping", {}});
    case Request::quit:
      commands_.stop_gracefully();
      return client.answer({true, "stopping gracefully", {}});
    case Request::reopen_logs:
      return client.answer(commands_.reopen_logs());
    case Request::ping:
      return client.answer(
          {true, fmt::format("holdfastd {} pid={}", HOLDFAST_VERSION, getpid()), {}});
  }
}

int ControlSocket::fd_of(Asker asker) const {
  for (const auto& client : clients_)
    if (asker == client->id()) return client->fd();
  return 0;
}

Asker ControlSocket::adopt(UniqueFd client) {
  clients_.push_back(std::make_unique<Client>(*this, next_id_++, std::move(client)));
  clients_.back()->await();
  return clients_.back()->id();
}

bool ControlSocket::quiet_but_for(Asker asker) const {
  return std::all_of(clients_.begin(), clients_.end(),
                     [&](const auto& client) { return asker == client->id(); });
}

void ControlSocket::answer(Asker asker, const Answer& answer) {
  if (!asker) return;
  auto at = std::find_if(clients_.begin(), clients_.end(),
                         [&](const auto& c) { return c->id() == *asker; });
  if (at != clients_.end()) (*at)->answer(answer);
}

void ControlSocket::retire(Client& client) {
  auto at = std::find_if(clients_.begin(), clients_.end(),
                         [&](const auto& c) { return c.get() == &client; });
  if (at == clients_.end()) return;
  client.hang_up();
  loop_.defer_delete(std::move(*at));
  clients_.erase(at);
}

void ControlSocket::check(uint64_t now_ms) {
  acceptable_.watch(kRead);
  for (auto at = clients_.begin(); at != clients_.end();) {
    Client& client = **at++;  // retire() erases it
    if (client.overdue(now_ms)) retire(client);
  }
}

void ControlSocket::close_in_child() {
  listener_.reset();
  for (auto& client : clients_) client->close_in_child();
}

}  // namespace holdfast::master
