#include "worker/clients/passage.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/fields.h"
#include "base/log.h"
#include "worker/clients/homes.h"
#include "worker/clients/upgrade.h"
#include "worker/clients/websocket.h"

namespace holdfast {

namespace handover {

// One datagram, beside the descriptor. Two versions read it: the rules of base/fields.h hold.
struct PassedRecord {
  std::string address;  // of the listener
  std::string path;
  std::vector<uint16_t> asked;  // slots that do not have its session
  ClientRecord client;
};
template <class Archive>
void fields(Archive& a, PassedRecord& r) {
  auto& [address, path, asked, client] = r;
  a(1, address);
  a(2, path);
  a(3, asked);
  a(4, client);
}

}  // namespace handover

namespace {

constexpr size_t kSlice = 64;  // given in one turn
constexpr size_t kATime = 16;  // taken at one readiness

ssize_t send_with(int socket, std::string_view bytes, int fd) {
  alignas(cmsghdr) char room[CMSG_SPACE(sizeof fd)] = {};
  iovec part{const_cast<char*>(bytes.data()), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  cmsghdr* head = CMSG_FIRSTHDR(&message);
  head->cmsg_level = SOL_SOCKET;
  head->cmsg_type = SCM_RIGHTS;
  head->cmsg_len = CMSG_LEN(sizeof fd);
  std::memcpy(CMSG_DATA(head), &fd, sizeof fd);
  return sendmsg(socket, &message, MSG_NOSIGNAL | MSG_DONTWAIT);
}

// The descriptor that came; none, or more than one, is nobody's.
UniqueFd fd_of(msghdr& message) {
  UniqueFd found;
  for (cmsghdr* head = CMSG_FIRSTHDR(&message); head != nullptr;
       head = CMSG_NXTHDR(&message, head)) {
    if (head->cmsg_level != SOL_SOCKET || head->cmsg_type != SCM_RIGHTS) continue;
    int fd;
    std::memcpy(&fd, CMSG_DATA(head), sizeof fd);
    found = UniqueFd(fd);
  }
  return found;
}

}  // namespace

Passage::Passage(Runtime& runtime, const Heritage& heritage, ClientHomes& homes,
                 ConnectionTable& connections)
    : runtime_(runtime), heritage_(heritage), homes_(homes), connections_(connections) {}

void Passage::begin() {
  if (heritage_.passage == -1) return;
  given_ = std::make_unique<IoEvent>(runtime_.loop, heritage_.passage, *this,
                                     Call<&Passage::on_given>{});
  given_->watch(kRead);
}

std::optional<uint16_t> Passage::owner_of(const ResumeWish& wish,
                                          const std::vector<uint16_t>& asked) const {
  std::optional<uint16_t> owner;
  // One without a process would read it only if there is ever another.
  auto is_served = [&](uint32_t slot) {
    shm::SlotState state = heritage_.segment->slot(slot).state.load(std::memory_order_acquire);
    return state == shm::SlotState::serving || state == shm::SlotState::draining;
  };
  auto may_have = [&](uint32_t slot) {
    return slot != runtime_.slot && is_served(slot) &&
           std::find(asked.begin(), asked.end(), slot) == asked.end();
  };
  if (wish.of_session) owner = heritage_.segment->directory().find(*wish.of_session);
  if (owner && may_have(*owner)) return owner;
  owner.reset();
  heritage_.segment->filter().for_each(Resume::filter_name(wish.key), [&](uint32_t slot) {
    if (!owner && may_have(slot)) owner = uint16_t(slot);
  });
  return owner;
}

// ---- giving

bool Passage::wait(Upgrade& upgrade, uint16_t slot) {
  if (waiting_.size() >= kMaxWaiting || slot >= heritage_.passages.size()) return false;
  waiting_.push_back({&upgrade, slot});
  return true;
}

void Passage::forget(const Upgrade& upgrade) {
  std::erase_if(waiting_, [&](const Waiting& w) { return w.upgrade == &upgrade; });
}

// To give one away, or to refuse it, ends its entrance, which takes it out of the list.
bool Passage::run() {
  std::vector<Waiting> turn;
  auto watched = [&](uint16_t slot) {
    return slot < room_.size() && room_[slot] && room_[slot]->watching() != 0;
  };
  for (const Waiting& w : waiting_)
    if (turn.size() < kSlice && !watched(w.slot)) turn.push_back(w);
  for (const Waiting& w : turn) {
    if (watched(w.slot)) continue;  // by one before it
    Given given = give(*w.upgrade, w.slot);
    if (given == Given::full) await_room(w.slot);
    if (given == Given::failed) w.upgrade->not_passed_on();
  }
  return turn.size() == kSlice;
}

Passage::Given Passage::give(Upgrade& upgrade, uint16_t slot) {
  runtime_.budget.spend(TurnBudget::kMessage);
  WebSocket& client = upgrade.websocket();
  const conf::Listen& listen = client.listen();
  handover::PassedRecord record{listen.address.text, listen.path, upgrade.asked(), client.save()};
  record.asked.push_back(runtime_.slot);
  record.client.origin.address_place = shm::kNoPlace;  // it is counted there
  if (record.client.tls) record.client.tls->counted = false;
  std::string bytes = handover::save(record);
  if (bytes.size() > kMaxBytes) return Given::failed;
  ssize_t sent;
  do {
    sent = send_with(heritage_.passages[slot], bytes, client.fd());
  } while (sent == -1 && errno == EINTR);
  if (sent == -1 && (errno == EAGAIN || errno == EWOULDBLOCK)) return Given::full;
  if (sent == -1) {
    static LogGate gate;
    if (uint64_t n = gate.pass())
      log_warn("client not given to its worker slot={} error=\"{}\" times={}", slot,
               std::strerror(errno), n);
    return Given::failed;
  }
  runtime_.stats.resume_passed_on.add();
  client.give_up();
  return Given::given;
}

void Passage::await_room(uint16_t slot) {
  if (slot >= room_.size()) room_.resize(slot + 1u);
  if (!room_[slot])
    room_[slot] = std::make_unique<IoEvent>(runtime_.loop, heritage_.passages[slot], *this,
                                            Call<&Passage::on_room>{});
  room_[slot]->watch(kWrite);
}

// Of whichever it is: those that are full still will be asked again.
void Passage::on_room(short) {
  for (auto& event : room_)
    if (event) event->watch(0);
}

// ---- taking

void Passage::on_given(short) {
  for (size_t n = 0; n < kATime && !runtime_.budget.turn_spent(); ++n)
    if (!take_one()) return;
}

bool Passage::take_one() {
  std::string bytes(kMaxBytes, '\0');
  alignas(cmsghdr) char room[CMSG_SPACE(4 * sizeof(int))];
  iovec part{bytes.data(), bytes.size()};
  msghdr message{};
  message.msg_iov = &part;
  message.msg_iovlen = 1;
  message.msg_control = room;
  message.msg_controllen = sizeof room;
  ssize_t got;
  do {
    got = recvmsg(heritage_.passage, &message, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
  } while (got == -1 && errno == EINTR);
  if (got <= 0) return false;
  runtime_.budget.spend(TurnBudget::kAppRequest);
  bytes.resize(size_t(got));
  take(bytes, fd_of(message));
  return true;
}

void Passage::take(std::string_view bytes, UniqueFd fd) {
  handover::PassedRecord record;
  bool sound = fd && handover::load(bytes, record) && record.client.session_hi == 0;
  ClientHome* home = sound ? homes_.of(record.address, record.path) : nullptr;
  std::unique_ptr<Client> client;
  if (home != nullptr)
    client = Client::restore(*home, std::move(fd), std::move(record.client), nullptr);
  if (client == nullptr || !client->has_whole_request()) {
    runtime_.stats.resume_not_passed_on.add();
    static LogGate gate;
    if (uint64_t n = gate.pass())
      log_warn("client of another worker closed: {} times={}",
               !sound ? "its record makes no sense" : "its listener is gone", n);
    return;
  }
  auto& websocket = static_cast<WebSocket&>(*client);
  connections_.add(std::move(client));
  websocket.arrive(std::move(record.asked));
}

}  // namespace holdfast
