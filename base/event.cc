#include "base/event.h"

#include <sys/epoll.h>

#include <cerrno>
#include <iterator>
#include <new>

#include "base/log.h"

namespace holdfast {

// The caller of libevent looks at errno after it has complained.
static void on_complaint(int, const char* text) {
  static LogGate gate;
  int error = errno;
  if (uint64_t n = gate.pass()) log_warn("libevent: {} times={}", text, n);
  errno = error;
}

Loop::Loop() : base_(nullptr) {
  event_set_log_callback(on_complaint);
  event_config* config = event_config_new();
  if (config == nullptr) throw std::bad_alloc();
  // One thread, so no locks; the precise timer costs a system call a turn and buys nothing here.
  event_config_set_flag(config, EVENT_BASE_FLAG_NOLOCK);
  base_ = event_base_new_with_config(config);
  event_config_free(config);
  if (base_ == nullptr) throw std::bad_alloc();
}

Loop::~Loop() {
  bury();
  if (base_ != nullptr) event_base_free(base_);
}

void Loop::run(TurnHook* hook) {
  stopped_ = false;
  while (!stopped_) {
    bool busy = hook != nullptr && hook->before_wait();
    bury();
    if (stopped_) break;
    int got = event_base_loop(base_, busy ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
    HF_CHECK(got != -1);
    if (hook != nullptr) hook->after_wait();
    bury();
    if (got == 1 && hook == nullptr) break;  // nothing is watched any more
  }
}

void Loop::abandon_after_fork() {
  graveyard_.clear();  // the parent's to destroy
  event_reinit(base_);
  event_base_free(base_);
  base_ = nullptr;
}

void Loop::bury() {
  // Destructors may retire more.
  while (!graveyard_.empty()) {
    std::vector<Grave> now;
    now.swap(graveyard_);
    for (const Grave& grave : now) grave.destroy(grave.object);
  }
}

static bool no_room(int error) {
  return error == ENOMEM || error == ENOSPC;
}

void IoEvent::watch(short what) {
  if (what == watching_) return;
  event_del(&event_);
  watching_ = what;
  if (what != 0) begin();
}

void IoEvent::begin() {
  int fd = event_get_fd(&event_);
  event_assign(&event_, loop_.raw(), fd, short(watching_ | EV_PERSIST), call_, owner_);
  if (event_add(&event_, nullptr) == 0) return;
  HF_CHECK(no_room(errno));  // I4
  ++loop_.unwatched_;
  auto again = [](evutil_socket_t, short, void* self) noexcept {
    static_cast<IoEvent*>(self)->begin();
  };
  event_assign(&event_, loop_.raw(), fd, 0, again, this);
  timeval soon{0, kAgainMs * 1000};
  HF_CHECK(event_add(&event_, &soon) == 0);
}

UniqueFd Poller::make_epoll() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw std::bad_alloc();
  return epoll;
}

static epoll_event event_of(void* owner, short what) {
  unsigned events = 0;
  if ((what & kRead) != 0) events |= EPOLLIN;
  if ((what & kWrite) != 0) events |= EPOLLOUT;
  return {.events = events, .data = {.ptr = owner}};
}

void Poller::watch(int fd, void* owner, uint8_t& watching, short what) {
  if (what == watching) return;
  bool added = watching != 0 && (waiting_.empty() || waiting_.erase(fd) == 0);
  watching = uint8_t(what);
  if (added) {
    epoll_event event = event_of(owner, what);
    HF_CHECK(epoll_ctl(epoll_.get(), what == 0 ? EPOLL_CTL_DEL : EPOLL_CTL_MOD, fd, &event) == 0);
  } else if (what != 0 && !add(fd, owner, what)) {
    ++loop_.unwatched_;
    waiting_[fd] = {owner, what};
    if (!again_) again_.emplace(loop_, kAgainMs, *this, Call<&Poller::try_again>{});
  }
}

bool Poller::add(int fd, void* owner, short what) {
  epoll_event event = event_of(owner, what);
  if (epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event) == 0) return true;
  HF_CHECK(no_room(errno));
  return false;
}

void Poller::try_again() {
  while (!waiting_.empty()) {
    auto first = waiting_.begin();
    if (!add(first->first, first->second.owner, first->second.what)) return;
    waiting_.erase(first);
  }
  again_.reset();
}

// An error or a hang-up shows as whatever is watched: the call that follows tells which.
void Poller::on_ready(short) {
  epoll_event events[kTurnEvents];
  int n = epoll_wait(epoll_.get(), events, std::size(events), 0);
  HF_CHECK(n != -1 || errno == EINTR);
  for (int i = 0; i < n; ++i) {
    bool broken = (events[i].events & (EPOLLERR | EPOLLHUP)) != 0;
    bool read = broken || (events[i].events & EPOLLIN) != 0;
    bool write = broken || (events[i].events & EPOLLOUT) != 0;
    call_(events[i].data.ptr, short((read ? kRead : 0) | (write ? kWrite : 0)));
  }
}

}  // namespace holdfast
