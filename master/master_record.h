// master/master_record.h - the state that one image of the master leaves to the next (takeover.h):
// its descriptors by number, its children by pid, the configurations that run.
//
// Two versions read it, so the rules F1 to F5 of base/fields.h hold. A descriptor 0 is
// none: ours are never one of the standard three.
#pragma once

#include <string>
#include <vector>

#include "base/fields.h"

namespace holdfast::master {

struct DoorbellRecord {
  int read = 0, write = 0;
  int take = 0, give = 0;  // of the slot's passage; 0: none
};
template <class Archive>
void fields(Archive& a, DoorbellRecord& r) {
  auto& [read, write, take, give] = r;
  a(1, read);
  a(2, write);
  a(3, take);
  a(4, give);
}

// An address of listen_sockets.h.
struct PointRecord {
  std::string key;
  std::vector<int> lanes;
  std::string unix_path;
  uint64_t device = 0, inode = 0;
};
template <class Archive>
void fields(Archive& a, PointRecord& r) {
  auto& [key, lanes, unix_path, device, inode] = r;
  a(1, key);
  a(2, lanes);
  a(3, unix_path);
  a(4, device);
  a(5, inode);
}

struct GenerationRecord {
  uint32_t number = 0;
  bool current = false;
  std::string file;  // the path it came from
  std::string toml;  // conf::print_config() without the built-in api
};
template <class Archive>
void fields(Archive& a, GenerationRecord& r) {
  auto& [number, current, file, toml] = r;
  a(1, number);
  a(2, current);
  a(3, file);
  a(4, toml);
}

// A slot that is not empty. `phase` and `purpose` by the numbers of slots.h.
struct SlotRecord {
  uint16_t slot = 0;
  uint8_t phase = 0, purpose = 0;
  uint32_t generation = 0;
  unsigned ordinal = 0;
  pid_t pid = 0;    // 0: it waits for its next process
  int control = 0;  // our end of the channel to it
  bool accepts = false, served = false;
  uint64_t backoff_ms = 0;
  unsigned early_deaths = 0;
  uint64_t started_ms = 0, respawn_at_ms = 0, aborted_ms = 0, calm_at_ms = 0;
};
template <class Archive>
void fields(Archive& a, SlotRecord& r) {
  auto& [slot, phase, purpose, generation, ordinal, pid, control, accepts, served, backoff_ms,
         early_deaths, started_ms, respawn_at_ms, aborted_ms, calm_at_ms] = r;
  a(1, slot);
  a(2, phase);
  a(3, purpose);
  a(4, generation);
  a(5, ordinal);
  a(6, pid);
  a(7, control);
  a(8, accepts);
  a(9, served);
  a(10, backoff_ms);
  a(11, early_deaths);
  a(12, started_ms);
  a(13, respawn_at_ms);
  a(14, aborted_ms);
  a(15, calm_at_ms);
}

// A process that has no slot any more and has not ended yet.
struct LeaverRecord {
  uint16_t slot = 0;
  pid_t pid = 0;
  int control = 0;
  uint64_t kill_at_ms = 0;
};
template <class Archive>
void fields(Archive& a, LeaverRecord& r) {
  auto& [slot, pid, control, kill_at_ms] = r;
  a(1, slot);
  a(2, pid);
  a(3, control);
  a(4, kill_at_ms);
}

struct MasterRecord {
  std::string version;  // of the writer
  std::string instance, runtime_dir;
  int segment = 0, pid_file = 0, control = 0;  // descriptors
  int asker = 0;                               // waits at the control socket for the outcome
  std::string image_path;                      // path of the binary
  int former_image = 0;  // the writer's own binary, for going back; 0: this is the way back
  bool reload_asked = false;
  std::vector<DoorbellRecord> doorbells;  // by slot
  std::vector<PointRecord> points;
  std::vector<GenerationRecord> generations;
  std::vector<SlotRecord> slots;
  std::vector<LeaverRecord> leavers;
};
template <class Archive>
void fields(Archive& a, MasterRecord& r) {
  auto& [version, instance, runtime_dir, segment, pid_file, control, asker, image_path,
         former_image, reload_asked, doorbells, points, generations, slots, leavers] = r;
  a(1, version);
  a(2, instance);
  a(3, runtime_dir);
  a(4, segment);
  a(5, pid_file);
  a(6, control);
  a(7, asker);
  a(8, image_path);
  a(9, former_image);
  a(10, reload_asked);
  a(11, doorbells);
  a(12, points);
  a(13, generations);
  a(14, slots);
  a(15, leavers);
}

// Every descriptor that the record names.
std::vector<int> descriptors_of(const MasterRecord& record);

}  // namespace holdfast::master
