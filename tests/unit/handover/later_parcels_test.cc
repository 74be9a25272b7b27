// A handover with parcels of a later version in it: the test stands between the two processes and adds them.
#include <fcntl.h>
#include <poll.h>

#include "base/bytes.h"
#include "tests/unit/handover/slot_fixture.h"
#include "worker/handover/parcels.h"

namespace holdfast {
namespace {

// A parcel as a later version might send it, with a descriptor or without.
std::string parcel(uint8_t kind, std::string_view record, bool has_fd) {
  std::string bytes;
  ByteWriter out(bytes);
  out.put(kind);
  out.put(uint8_t(has_fd));
  out.put(uint16_t{0});
  out.put_string(record);
  return bytes;
}

// Between the two processes: gives the frames of each to the other, and puts `more` and a descriptor behind the first parcel.
// Ends when one of the processes has nothing more to say.
class Between {
 public:
  Between(UniqueFd old, UniqueFd fresh)
      : fds_{old.get(), fresh.get()},
        old_(std::move(old), test::timeout_ms(), [] {}),
        fresh_(std::move(fresh), test::timeout_ms(), [] {}) {}

  void run(std::string more) {
    for (;;) {
      pollfd ends[2] = {{fds_[0], POLLIN, 0}, {fds_[1], POLLIN, 0}};
      ASSERT_GT(poll(ends, 2, int(test::timeout_ms())), 0);
      bool from_old = ends[0].revents != 0;
      auto frame = (from_old ? old_ : fresh_).receive();
      if (!frame) return;
      if (frame->type == 'p' && !more.empty()) add(*frame, std::exchange(more, {}));
      std::vector<int> fds;
      for (const UniqueFd& fd : frame->fds) fds.push_back(fd.get());
      if (!(from_old ? fresh_ : old_).send(frame->type, frame->body, fds)) return;
    }
  }

 private:
  static void add(handover::Frame& frame, const std::string& more) {
    ByteReader head(std::string_view(frame.body).substr(4));
    frame.body.insert(8 + head.get<uint32_t>(), more);
    frame.fds.emplace(frame.fds.begin(), open("/dev/null", O_RDONLY | O_CLOEXEC));
  }

  int fds_[2];
  handover::Channel old_, fresh_;
};

class LaterParcels : public SlotHandover {
 protected:
  // The slot is handed over with these parcels in it.
  void hand_over(Process& old, Process& fresh, std::string more) {
    auto [one, other] = test::socket_pair();
    auto [third, fourth] = test::socket_pair();
    old.tell(control_word::kHandOver, other.get());
    fresh.tell(control_word::kTakeOver, fourth.get());
    other.reset();
    fourth.reset();
    Between(std::move(one), std::move(third)).run(std::move(more));
  }
};

TEST_F(LaterParcels, ThatMayBePassedOverChangeNothing) {
  Process old = start(false);
  std::vector<Peer> peers = open(60);
  Process fresh = start(true);
  hand_over(old, fresh,
            parcel(uint8_t(handover::Kind::part), "a long ", false) + parcel(0x8a, "record", true) +
                parcel(0xff, {}, false));
  ASSERT_TRUE(fresh.says(control_word::kTaken));
  EXPECT_EQ(old.forked->exit_status(), 0);
  expect_served(peers);
  fresh.tell(control_word::kTerm);
  EXPECT_EQ(fresh.forked->exit_status(), 0);
}

TEST_F(LaterParcels, ThatMayNotBePassedOverLeaveTheSlotWhereItIs) {
  Process old = start(false);
  std::vector<Peer> peers = open(60);
  Process fresh = start(true);
  hand_over(old, fresh, parcel(10, "record", true));
  ASSERT_TRUE(old.says(control_word::kKept));
  EXPECT_NE(fresh.forked->exit_status(), 0);
  expect_served(peers);
  old.tell(control_word::kTerm);
  EXPECT_EQ(old.forked->exit_status(), 0);
}

}  // namespace
}  // namespace holdfast
