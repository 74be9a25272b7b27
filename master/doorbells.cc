#include "master/doorbells.h"

#include <cerrno>

namespace holdfast::master {

Result<Doorbells> Doorbells::make(unsigned slots) {
  Doorbells made;
  for (unsigned i = 0; i < slots; ++i) {
    int ends[2];
    if (pipe2(ends, O_NONBLOCK | O_CLOEXEC) != 0)
      return Error{Errc::io, errno, "make doorbell pipes (server.max_workers of them)"};
    made.pipes_.push_back({UniqueFd(ends[0]), UniqueFd(ends[1])});
  }
  return made;
}

Doorbells Doorbells::restore(const std::vector<DoorbellRecord>& records) {
  Doorbells made;
  for (const DoorbellRecord& record : records)
    made.pipes_.push_back({UniqueFd(record.read), UniqueFd(record.write)});
  return made;
}

std::vector<DoorbellRecord> Doorbells::save() const {
  std::vector<DoorbellRecord> records;
  for (const Pipe& pipe : pipes_) records.push_back({pipe.read.get(), pipe.write.get()});
  return records;
}

std::vector<int> Doorbells::write_ends() const {
  std::vector<int> ends;
  for (const Pipe& pipe : pipes_) ends.push_back(pipe.write.get());
  return ends;
}

void Doorbells::close_others(unsigned slot) {
  for (unsigned i = 0; i < pipes_.size(); ++i)
    if (i != slot) pipes_[i].read.reset();
}

}  // namespace holdfast::master
