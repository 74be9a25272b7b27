#include "tests/harness/crowd_member.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <stdexcept>

#include "base/bytes.h"
#include "conf/config.h"

namespace holdfast::test {
namespace {

const char* const kKindNames[] = {"echo", "php", "relay", "tcp", "subscriber", "http", "resp"};
const char* const kStateNames[] = {"connecting", "greeting", "ready", "leaving", "gone"};
constexpr unsigned kRoomSize = 8;
constexpr unsigned kMostOutstanding = 2;  // messages of one client on their way
constexpr size_t kMostAsked = 6;          // requests of one pusher in a pipeline
constexpr size_t kMostTargets = 32;       // sessions that one pusher sends to
constexpr size_t kBigBytes = 40'000;

sockaddr_in address_of(const std::string& text) {
  auto parsed = conf::parse_address(text);
  if (!parsed || parsed->is_unix()) throw std::runtime_error("no address of a crowd: " + text);
  sockaddr_in address;
  std::memcpy(&address, &parsed->raw, sizeof address);
  return address;
}

}  // namespace

Member::Member(CrowdCore& core, CrowdKind kind, unsigned ordinal)
    : core_(core),
      kind_(kind),
      ordinal_(ordinal),
      id_(core.ledger.add_party(std::string(kKindNames[size_t(kind)]) + " " +
                                std::to_string(ordinal))),
      choppy_(ordinal % 4 == 1),
      slow_(is_client() && ordinal % 16 == 2) {}

std::string Member::describe() const {
  return core_.ledger.name(id_) + " " + kStateNames[size_t(state_)] + " port " +
         std::to_string(ports_.first) + " session " + session_ + ": " +
         std::to_string(outstanding_) + " messages, " + std::to_string(asked_.size()) +
         " answers, " + std::to_string(out_.size()) + " bytes to write, " +
         std::to_string(in_.size()) + " bytes read";
}

void Member::begin() {
  begun_ms_ = core_.now_ms;
  fd_ = UniqueFd(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0));
  int on = 1, small = 4096;
  setsockopt(fd_.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (slow_) setsockopt(fd_.get(), SOL_SOCKET, SO_RCVBUF, &small, sizeof small);
  sockaddr_in address = address_of(core_.options.address[size_t(kind_)]);
  if (connect(fd_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == -1 &&
      errno != EINPROGRESS)
    return end(std::string("connect: ") + std::strerror(errno));
  sockaddr_in own;
  socklen_t size = sizeof own;
  getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&own), &size);
  ports_ = {ntohs(own.sin_port), ntohs(address.sin_port)};
  core_.ledger.rename(id_, core_.ledger.name(id_) + " of port " + std::to_string(ports_.first));
  epoll_event event{.events = watched_ = EPOLLOUT, .data = {.u32 = id_}};
  epoll_ctl(core_.poll.get(), EPOLL_CTL_ADD, fd_.get(), &event);
}

void Member::on_event(uint32_t events) {
  if (state_ == State::connecting) {
    int error = 0;
    socklen_t size = sizeof error;
    getsockopt(fd_.get(), SOL_SOCKET, SO_ERROR, &error, &size);
    if (error != 0) return end(std::string("connect: ") + std::strerror(error));
    connected();
  } else if ((events & EPOLLOUT) != 0) {
    flush();
  }
  if (state_ != State::gone && (events & ~uint32_t(EPOLLOUT)) != 0) read_some();
  watch();
}

void Member::on_time() {
  if (state_ == State::connecting || state_ == State::gone) return;
  if (state_ == State::ready && !core_.quiet && core_.now_ms >= say_at_ms_)
    is_pusher() ? push() : say();
  if (state_ == State::leaving && !said_goodbye_ && idle()) goodbye();
  if (!out_.empty() && core_.now_ms >= write_at_ms_) flush();
  if (read_at_ms_ != 0 && core_.now_ms >= read_at_ms_) {
    read_at_ms_ = 0;
    read_some();
  }
  watch();
}

void Member::watch() {
  if (state_ == State::gone) return;
  uint32_t wanted = 0;
  if (read_at_ms_ == 0) wanted |= EPOLLIN;
  if (!out_.empty() && core_.now_ms >= write_at_ms_) wanted |= EPOLLOUT;
  if (state_ == State::connecting) wanted = EPOLLOUT;
  if (wanted == watched_) return;
  epoll_event event{.events = watched_ = wanted, .data = {.u32 = id_}};
  epoll_ctl(core_.poll.get(), EPOLL_CTL_MOD, fd_.get(), &event);
}

// ---- beginning and end

void Member::connected() {
  state_ = State::greeting;
  switch (kind_) {
    case CrowdKind::echo:
    case CrowdKind::php:
      return put(handshake_request("/ws"));
    case CrowdKind::relay:
      return put(handshake_request("/ws?channel=" + room(ordinal_ / kRoomSize)));
    case CrowdKind::subscriber:
      return put(resp_request({"SUBSCRIBE", room(ordinal_)}));
    default:
      return ready();
  }
}

void Member::ready() {
  state_ = State::ready;
  say_at_ms_ = core_.now_ms + core_.pick(core_.options.pace_ms);
  if (is_pusher()) return;
  if (kind_ == CrowdKind::subscriber) return enter(room(ordinal_));
  // A TCP client knows that the server has it when its own first message comes back.
  if (is_web())
    enter("all");
  else
    core_.ledger.admit(id_, core_.ledger.group("all"));
  std::string own = kind_ == CrowdKind::tcp     ? "tcp"
                    : kind_ == CrowdKind::relay ? room(ordinal_ / kRoomSize)
                                                : "own " + std::to_string(id_);
  if (kind_ == CrowdKind::tcp)
    core_.ledger.admit(id_, core_.ledger.group(own));
  else
    enter(own);
  if (!session_.empty()) enter(session_);
  own_stream_ = core_.ledger.open_stream(id_, core_.ledger.group(own));
}

void Member::enter(const std::string& group) {
  core_.ledger.enter(id_, core_.ledger.group(group));
}

void Member::leave() {
  state_ = State::leaving;
  core_.ledger.leave(id_);
}

void Member::goodbye() {
  said_goodbye_ = true;
  if (is_web())
    put(client_frame(kWsClose, true, std::string("\x03\xe8", 2), 7));
  else if (kind_ == CrowdKind::tcp || kind_ == CrowdKind::http_pusher)
    shutdown(fd_.get(), SHUT_WR);
  else
    put(resp_request({"QUIT"}));
}

void Member::end(const std::string& how) {
  bool asked_for = state_ == State::leaving && said_goodbye_ && how == "end";
  if (!asked_for && !doomed_)
    core_.violations.add({core_.ledger.name(id_) + " (session " + session_ + ")",
                          "to stay connected",
                          how + " while " + kStateNames[size_t(state_)] + ", " +
                              std::to_string(core_.now_ms - begun_ms_) + " ms old"});
  if (!asked_for) core_.ledger.end_sender(id_);
  core_.ledger.leave(id_);
  state_ = State::gone;
  // A child that has not come to its exec yet holds the descriptor too: closing it alone would leave it watched.
  epoll_ctl(core_.poll.get(), EPOLL_CTL_DEL, fd_.get(), nullptr);
  fd_.reset();
}

void Member::complain(const std::string& expected, const std::string& came) {
  core_.violations.add({core_.ledger.name(id_), expected, "\"" + came.substr(0, 300) + "\""});
  doomed_ = true;  // one word about it is enough
  end("complaint");
}

// ---- what it says

void Member::say() {
  if (own_stream_ == UINT32_MAX || outstanding_ >= kMostOutstanding) return;
  say_at_ms_ = core_.now_ms + core_.options.pace_ms / 2 + core_.pick(core_.options.pace_ms);
  Numbered message = core_.ledger.next(own_stream_);
  message.fill = core_.pick(40) == 0 ? kBigBytes : core_.pick(100);
  ++outstanding_;
  std::string text = to_text(message);
  if (kind_ == CrowdKind::tcp) return put(length_frame(text));
  if (core_.pick(4) != 0) return put(client_frame(kWsText, true, text, uint32_t(core_.chance())));
  size_t cut = core_.pick(unsigned(text.size()));
  put(client_frame(kWsText, false, text.substr(0, cut), uint32_t(core_.chance())) +
      client_frame(kWsPing, true, "between", 1) +
      client_frame(kWsMore, true, text.substr(cut), uint32_t(core_.chance())));
}

Member::Asked Member::choose_push() {
  unsigned relays = core_.options.count[size_t(CrowdKind::relay)];
  unsigned way = core_.pick(8);
  std::string target = "all";
  uint32_t receiver = kNobody;
  if (way < 4 && relays > 0) target = room(core_.pick(relays) / kRoomSize);
  if (way >= 5) {
    auto at = core_.members.lower_bound(core_.pick(core_.members.rbegin()->first + 1));
    if (at == core_.members.end()) at = core_.members.begin();
    if (at->second->state() == State::ready && !at->second->session().empty()) {
      target = at->second->session();
      receiver = at->first;
    }
  }
  if (receiver != kNobody && !streams_.contains(target) && streams_.size() >= kMostTargets)
    std::erase_if(streams_, [](const auto& stream) { return stream.first.size() == 32; });
  auto [stream, fresh] = streams_.try_emplace(target);
  if (fresh) stream->second = core_.ledger.open_stream(id_, core_.ledger.group(target));
  return {stream->second, target, receiver};
}

// One request of a stream at a time: where one fails, none behind it shows a gap.
void Member::push() {
  say_at_ms_ =
      core_.now_ms + core_.options.push_pace_ms / 2 + core_.pick(core_.options.push_pace_ms);
  if (asked_.size() >= kMostAsked) return;
  Asked asked = choose_push();
  for (const Asked& other : asked_)
    if (other.stream == asked.stream) return;
  Numbered message = core_.ledger.next(asked.stream);
  message.fill = asked.receiver != kNobody && core_.pick(20) == 0 ? kBigBytes : core_.pick(100);
  std::string text = to_text(message);
  bool one = asked.receiver != kNobody, all = asked.target == "all";
  if (kind_ == CrowdKind::resp_pusher) {
    put(all ? resp_request({"HF.SENDALL", text})
            : resp_request({one ? "HF.SEND" : "PUBLISH", asked.target, text}));
  } else {
    std::string body = "{\"data\":\"" + text + "\"";
    if (!all)
      body +=
          std::string(",\"") + (one ? "sessions" : "channels") + "\":[\"" + asked.target + "\"]";
    put(http_request("POST", all ? "/v1/send-all" : one ? "/v1/send" : "/v1/publish", body + "}"));
  }
  asked_.push_back(std::move(asked));
}

void Member::put(std::string_view bytes) {
  out_.append(bytes);
  flush();
}

void Member::flush() {
  while (!out_.empty() && core_.now_ms >= write_at_ms_) {
    size_t most = out_.size();
    if (choppy_) {
      most = 1 + core_.pick(unsigned(std::min<size_t>(most, 2000)));
      if (core_.pick(2) == 0) write_at_ms_ = core_.now_ms + 1 + core_.pick(20);
    }
    ssize_t sent = send(fd_.get(), out_.data(), most, MSG_NOSIGNAL);
    if (sent == -1) return;  // full; or broken, which reading says
    out_.erase(0, size_t(sent));
  }
}

// ---- what it hears

void Member::read_some() {
  char bytes[16384];
  ssize_t got = recv(fd_.get(), bytes, slow_ ? 2048 : sizeof bytes, 0);
  if (got == -1 && (errno == EAGAIN || errno == EINTR)) return;
  if (got == -1) return end(std::strerror(errno));
  if (got == 0) return end("end");
  if (slow_ && core_.pick(4) == 0) read_at_ms_ = core_.now_ms + 1 + core_.pick(200);
  in_.append(bytes, size_t(got));
  while (state_ != State::gone && take_one()) {
  }
}

// What makes no sense ends the connection.
bool Member::is_whole(Cut cut) {
  if (cut == Cut::bad) complain("something that follows its protocol", in_);
  return cut == Cut::whole;
}

bool Member::take_one() {
  size_t used = 0;
  HttpPiece http;
  RespPiece resp;
  WsPiece frame;
  std::string_view line;
  if ((is_web() && state_ == State::greeting) || kind_ == CrowdKind::http_pusher) {
    if (!is_whole(cut_http(in_, &http, &used))) return false;
    if (kind_ == CrowdKind::http_pusher) {
      bool delivered = asked_.empty() || asked_.front().receiver == kNobody ||
                       http.body.find("\"delivered\":1") != std::string_view::npos;
      take_answer(http.status == 200 && delivered,
                  http.body.find("\"partial\"") != std::string_view::npos, http.body);
      if (state_ != State::gone && http.header("connection") == "close") last_answer();
    } else if (http.status != 101 || http.header("sec-websocket-accept") != kWsAccept) {
      if (!doomed_)
        complain("101", in_);
      else
        end("refused");
    } else {
      session_ = http.header("holdfast-session");
      ready();
    }
  } else if (is_web()) {
    if (!is_whole(cut_frame(in_, &frame, &used))) return false;
    if (frame.opcode == kWsPing) put(client_frame(kWsPong, true, frame.payload, 9));
    if (frame.opcode == kWsMore || frame.opcode == kWsText) fragments_.append(frame.payload);
    if (frame.opcode <= 2 && frame.last) heard(std::exchange(fragments_, {}));
    if (frame.opcode == kWsClose && !said_goodbye_) {
      std::string code =
          frame.payload.size() < 2 ? "none" : std::to_string(load_be16(frame.payload.data()));
      end("close frame with code " + code);
    }
  } else if (kind_ == CrowdKind::tcp) {
    if (!is_whole(cut_length(in_, &line, &used))) return false;
    heard(line);
  } else {
    if (!is_whole(cut_resp(in_, &resp, &used))) return false;
    if (kind_ == CrowdKind::resp_pusher && !said_goodbye_) {
      bool delivered = resp.type == ':' &&
                       (asked_.empty() || asked_.front().receiver == kNobody || resp.text == "1");
      take_answer(delivered, false, resp.text);
    } else if (resp.type == '*' && resp.elements.size() == 3) {
      if (resp.elements[0].text == "subscribe")
        ready();
      else
        heard(resp.elements[2].text);
    } else if (resp.text != "OK") {
      complain("a message or an answer", in_);
    }
  }
  if (state_ != State::gone) in_.erase(0, used);
  return state_ != State::gone;
}

void Member::take_answer(bool success, bool partial, std::string_view what) {
  if (asked_.empty()) return complain("no answer", in_);
  Asked asked = std::move(asked_.front());
  asked_.pop_front();
  if (success && (!partial || core_.trouble)) return;
  bool excused = core_.trouble;
  if (asked.receiver != kNobody) {
    auto target = core_.members.find(asked.receiver);
    excused |= target == core_.members.end() || target->second->state() != State::ready ||
               target->second->doomed();
  }
  if (!excused) return complain("success of a push to " + asked.target, std::string(what));
  // Whether it was done is open, so nobody waits for it.
  core_.ledger.end_stream(asked.stream);
  streams_.erase(asked.target);
}

// The server asks us to come anew; what stands behind in the pipeline is not carried out (RFC 9112, section 9.6).
void Member::last_answer() {
  for (const Asked& asked : std::exchange(asked_, {})) core_.ledger.end_stream(asked.stream);
  out_.clear();
  state_ = State::leaving;
  said_goodbye_ = true;
}

void Member::heard(std::string_view text) {
  ++core_.received;
  std::optional<Numbered> message = core_.ledger.receive(id_, text);
  if (!message || message->stream != own_stream_) return;
  --outstanding_;
  if (kind_ == CrowdKind::tcp && state_ == State::ready) {
    enter("tcp");
    enter("all");
  }
}

}  // namespace holdfast::test
