// The ledger of the crowd must find whatever a server could do wrong: each row does one wrong thing.

#include "tests/harness/crowd_ledger.h"

#include <gtest/gtest.h>

namespace holdfast::test {
namespace {

class CrowdLedger : public testing::Test {
 protected:
  CrowdLedger() {
    ledger_.enter(hears_, room_);
    stream_ = ledger_.open_stream(says_, room_);
  }

  std::string say() { return to_text(ledger_.next(stream_)); }
  std::vector<std::string> say(unsigned n) {
    std::vector<std::string> said;
    while (n-- > 0) said.push_back(say());
    return said;
  }
  void hear(const std::string& text) { ledger_.receive(hears_, text); }

  Violations violations_;
  Ledger ledger_{violations_};
  uint32_t says_ = ledger_.add_party("says"), hears_ = ledger_.add_party("hears");
  uint32_t room_ = ledger_.group("room"), stream_;
};

TEST_F(CrowdLedger, IsContentWithEachOnceAndInOrder) {
  for (const std::string& text : say(5)) hear(text);
  EXPECT_TRUE(ledger_.complete());
  ledger_.report_missing();
  EXPECT_EQ(violations_.count(), 0u) << violations_.text();
}

TEST_F(CrowdLedger, FindsAGap) {
  std::vector<std::string> said = say(3);
  hear(said[0]);
  hear(said[2]);
  EXPECT_EQ(violations_.count(), 1u) << violations_.text();
}

TEST_F(CrowdLedger, FindsADuplicate) {
  std::string said = say();
  hear(said);
  hear(said);
  EXPECT_GE(violations_.count(), 1u);
}

TEST_F(CrowdLedger, FindsAReorder) {
  std::vector<std::string> said = say(2);
  hear(said[1]);
  hear(said[0]);
  EXPECT_GE(violations_.count(), 1u);
}

TEST_F(CrowdLedger, FindsAReorderAcrossGroups) {
  uint32_t other = ledger_.group("other");
  ledger_.enter(hears_, other);
  uint32_t second = ledger_.open_stream(says_, other);
  std::string first = say(), then = to_text(ledger_.next(second));
  hear(then);
  hear(first);
  EXPECT_GE(violations_.count(), 1u);
}

TEST_F(CrowdLedger, FindsThatTheBeginningIsMissing) {
  std::vector<std::string> said = say(2);
  hear(said[1]);
  EXPECT_EQ(violations_.count(), 1u) << violations_.text();
}

TEST_F(CrowdLedger, OwesANewcomerOnlyWhatIsSaidLater) {
  say();
  uint32_t newcomer = ledger_.add_party("newcomer");
  ledger_.enter(newcomer, room_);
  ledger_.receive(newcomer, say());
  EXPECT_EQ(violations_.count(), 0u) << violations_.text();
}

TEST_F(CrowdLedger, FindsThatTheEndIsMissing) {
  std::vector<std::string> said = say(2);
  hear(said[0]);
  EXPECT_FALSE(ledger_.complete());
  ledger_.report_missing();
  EXPECT_EQ(violations_.count(), 1u) << violations_.text();
}

TEST_F(CrowdLedger, OwesNothingOfALostSender) {
  say(2);
  ledger_.end_sender(says_);
  EXPECT_TRUE(ledger_.complete());
}

TEST_F(CrowdLedger, FindsWhatIsForSomebodyElse) {
  uint32_t stranger = ledger_.add_party("stranger");
  ledger_.receive(stranger, say());
  EXPECT_EQ(violations_.count(), 1u) << violations_.text();
}

TEST_F(CrowdLedger, FindsPiecesOfTwoMessagesInEachOthersPlace) {
  Numbered first = ledger_.next(stream_), second = ledger_.next(stream_);
  first.fill = second.fill = 100;
  std::string mixed = to_text(first).substr(0, 60) + to_text(second).substr(60);
  ASSERT_EQ(mixed.size(), to_text(first).size());
  EXPECT_FALSE(from_text(mixed).has_value());
  EXPECT_TRUE(from_text(to_text(first)).has_value());
  hear(mixed);
  EXPECT_GE(violations_.count(), 1u);
}

}  // namespace
}  // namespace holdfast::test
