#include "base/event.h"

#include <sys/epoll.h>

#include <cerrno>
#include <iterator>
#include <new>

namespace holdfast {

Loop::Loop() : base_(nullptr) {
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

void IoEvent::watch(short what) {
  if (what == watching_) return;
  int fd = event_get_fd(&event_);
  void* owner = event_get_callback_arg(&event_);
  if (watching_ != 0) event_del(&event_);
  event_assign(&event_, loop_, fd, short(what | EV_PERSIST), call_, owner);
  if (what != 0) HF_CHECK(event_add(&event_, nullptr) == 0);
  watching_ = what;
}

UniqueFd Poller::make_epoll() {
  UniqueFd epoll(epoll_create1(EPOLL_CLOEXEC));
  if (!epoll) throw std::bad_alloc();
  return epoll;
}

void Poller::watch(int fd, void* owner, uint8_t& watching, short what) {
  if (what == watching) return;
  int how = what == 0 ? EPOLL_CTL_DEL : watching == 0 ? EPOLL_CTL_ADD : EPOLL_CTL_MOD;
  unsigned events = 0;
  if ((what & kRead) != 0) events |= EPOLLIN;
  if ((what & kWrite) != 0) events |= EPOLLOUT;
  epoll_event event{.events = events, .data = {.ptr = owner}};
  HF_CHECK(epoll_ctl(epoll_.get(), how, fd, &event) == 0);
  watching = uint8_t(what);
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
