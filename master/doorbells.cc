#include "master/doorbells.h"

#include <sys/socket.h>

#include <cerrno>

namespace holdfast::master {

Result<Doorbells> Doorbells::make(unsigned slots) {
  Doorbells made;
  for (unsigned i = 0; i < slots; ++i) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
      return Error{Errc::io, errno, "make doorbell pipes (server.max_workers of them)"};
    made.pipes_.push_back({UniqueFd(ends[0]), UniqueFd(ends[1]), {}, {}});
  }
  return made;
}

Doorbells Doorbells::restore(const std::vector<DoorbellRecord>& records) {
  Doorbells made;
  for (const DoorbellRecord& record : records) {
    made.pipes_.push_back({UniqueFd(record.read), UniqueFd(record.write), {}, {}});
    if (record.take == 0 || record.give == 0) continue;
    made.pipes_.back().take = UniqueFd(record.take);
    made.pipes_.back().give = UniqueFd(record.give);
  }
  return made;
}

std::vector<DoorbellRecord> Doorbells::save() const {
  std::vector<DoorbellRecord> records;
  for (const Pipe& pipe : pipes_)
    records.push_back({pipe.read.get(), pipe.write.get(), pipe.take ? pipe.take.get() : 0,
                       pipe.give ? pipe.give.get() : 0});
  return records;
}

std::vector<int> Doorbells::write_ends() const {
  std::vector<int> ends;
  for (const Pipe& pipe : pipes_) ends.push_back(pipe.write.get());
  return ends;
}

Result<void> Doorbells::open_passages() {
  for (Pipe& pipe : pipes_) {
    if (pipe.take) continue;
    int ends[2];
    if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) != 0)
      return Error{Errc::io, errno, "make passages (server.max_workers of them)"};
    pipe.take = UniqueFd(ends[0]);
    pipe.give = UniqueFd(ends[1]);
  }
  return {};
}

std::vector<int> Doorbells::passages() const {
  std::vector<int> ends;
  for (const Pipe& pipe : pipes_)
    if (pipe.give) ends.push_back(pipe.give.get());
  return ends.size() == pipes_.size() ? ends : std::vector<int>();
}

void Doorbells::close_others(unsigned slot) {
  for (unsigned i = 0; i < pipes_.size(); ++i) {
    if (i == slot) continue;
    pipes_[i].read.reset();
    pipes_[i].take.reset();
  }
}

}  // namespace holdfast::master
