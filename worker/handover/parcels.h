// worker/handover/parcels.h - the socket between a slot's two processes while it is handed over: frames with
// descriptors, both ways, blocking.
//
//   frame    type : 8 | 0 : 8 | descriptors : 16 | bytes : 32 | body
//   'p'      predecessor: a batch of parcels; its descriptors come with the first byte (SCM_RIGHTS, unix(7))
//   'a'      successor: one batch has been dealt with
//   'r'      successor: everything is there and makes sense; body: its pid : 32
//   'x'      successor: it cannot take the slot; body: the reason
//   'c'      predecessor: the slot is yours (SlotHead::pid says so already)
//   parcel   kind : 8 | has a descriptor : 8 | 0 : 16 | bytes : 32 | record (fields.h)
//
// A record that no frame has room for travels as parcels of kind `part`, in order, and its last piece under its own kind. One
// whose length does not fit 32 bits does not travel: the sender reports it, and the slot stays where it is.
//
// A batch has at most kBatchParcels parcels, and so many descriptors (the kernel takes 253 a message), or one
// parcel that is longer than kBatchBytes. At most kWindow batches wait for their 'a': descriptors under way
// count against the limits of both.
//
// Time: a side that waits gives up after `patience_ms` without one byte more. Each side calls `alive` while it
// waits or works, for its heartbeat.
#pragma once

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/result.h"

namespace holdfast::handover {

// A number is never changed nor used again. A kind with kMayBePassedOver in it is left out by a successor that does not know it
// (not by one of commit 64a7ea7, which refuses it): its sender must be sure that the slot is right without it. Any other
// unknown kind is refused, and the slot stays where it is.
enum class Kind : uint8_t {
  slot = 1,
  session = 2,
  client = 3,
  backend = 4,
  request = 5,
  api = 6,
  end = 7,
  buffer = 8,
  part = 9,
};
inline constexpr uint8_t kMayBePassedOver = 0x80;
inline bool may_be_passed_over(Kind kind) {
  return (uint8_t(kind) & kMayBePassedOver) != 0;
}

inline constexpr size_t kBatchParcels = 64;
inline constexpr size_t kBatchBytes = 256 * 1024;
inline constexpr size_t kWindow = 4;
inline constexpr size_t kMaxFrameBytes = size_t{1} << 30;
inline constexpr size_t kMaxPieceBytes = kMaxFrameBytes - 4096;
inline constexpr size_t kMaxFds = 253;  // SCM_MAX_FD

struct Frame {
  char type = 0;
  std::string body;
  std::vector<UniqueFd> fds;
};

class Channel {
 public:
  Channel(UniqueFd socket, uint64_t patience_ms, std::function<void()> alive);
  void set_patience(uint64_t patience_ms) { patience_ms_ = patience_ms; }

  // Errc::gone: the other side has ended. Errc::busy: patience is over. Errc::limit: descriptors were lost on
  // the way, because this process may have no more; or the body is longer than kMaxFrameBytes.
  Result<void> send(char type, std::string_view body, const std::vector<int>& fds = {});
  Result<Frame> receive();

 private:
  Result<void> wait(short what);
  Result<void> read_exactly(char* to, size_t bytes);

  UniqueFd socket_;
  uint64_t patience_ms_;
  std::function<void()> alive_;
};

// The predecessor's end: puts parcels together to batches.
class ParcelSender {
 public:
  // The bytes that a record may have: in one piece, and altogether.
  struct Bounds {
    size_t piece = kMaxPieceBytes;
    size_t record =
        UINT32_MAX;  // lengths have 32 bits, here and in the record itself (base/fields.h)
  };
  explicit ParcelSender(Channel& channel) : ParcelSender(channel, Bounds()) {}
  ParcelSender(Channel& channel, Bounds bounds) : channel_(channel), bounds_(bounds) {}
  // `fd` is borrowed until its batch is acknowledged; -1: none. Errc::limit: the record is too long to travel.
  Result<void> put(Kind kind, std::string_view record, int fd = -1);
  // Everything that was put has been dealt with.
  Result<void> finish();

 private:
  Result<void> put_piece(Kind kind, std::string_view piece, int fd);
  Result<void> send_batch();
  Result<void> wait_for_room(size_t window);

  Channel& channel_;
  Bounds bounds_;
  std::string body_;
  std::vector<int> fds_;
  size_t parcels_ = 0;
  size_t unacknowledged_ = 0;
};

struct Parcel {
  Kind kind;
  std::string_view record;
  UniqueFd fd;
};

// The successor's end: takes a batch apart. The frame outlives it.
class ParcelReader {
 public:
  explicit ParcelReader(Frame& frame) : frame_(frame), rest_(frame.body) {}
  // Empty at the end, and if the bytes make no sense (then ok() is false).
  std::optional<Parcel> next();
  bool ok() const { return ok_; }

 private:
  Frame& frame_;
  std::string_view rest_;
  size_t next_fd_ = 0;
  bool ok_ = true;
};

}  // namespace holdfast::handover
