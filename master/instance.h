// master/instance.h - the things that make this master the only one of its instance: directory, pid
// file, segment.
#pragma once

#include "conf/config.h"
#include "master/pidfile.h"
#include "shm/segment.h"

namespace holdfast::master {

shm::Capacities capacities_of(const conf::Config& config);

struct Instance {
  PidFile pid_file;
  shm::Segment segment;
  // A killed master's segment was found and replaced: its drainers may still hold our addresses for
  // a moment.
  bool left_over;

  // Errc::busy if the instance runs already, naming its pid.
  static Result<Instance> claim(const conf::Config& config);
};

}  // namespace holdfast::master
