#include "worker/net/output_queue.h"

#include <gtest/gtest.h>
#include <sys/socket.h>

#include <cerrno>
#include <deque>
#include <random>
#include <string>

#include "base/fd.h"

namespace holdfast {
namespace {

using Outcome = OutputQueue::Outcome;
constexpr size_t kAll = SIZE_MAX;

struct Pair {
  Pair() {
    int ends[2];
    HF_CHECK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends) == 0);
    near.reset(ends[0]);
    far.reset(ends[1]);
  }
  std::string read() {
    std::string all;
    char bytes[65536];
    ssize_t got;
    while ((got = recv(far.get(), bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
      all.append(bytes, size_t(got));
    return all;
  }
  UniqueFd near, far;
};

BufferRef buffer(std::string_view text) {
  return BufferRef::concat(text);
}

TEST(BufferRef, JoinsItsPartsAndIsSharedByItsCopies) {
  BufferRef a = BufferRef::concat("one ", "", "two");
  BufferRef b = a;
  a = BufferRef();
  EXPECT_FALSE(a);
  EXPECT_EQ(b.bytes(), "one two");
  b = b;
  EXPECT_EQ(b.bytes(), "one two");
}

TEST(OutputQueue, SendsBuffersInOrderWithOneSystemCall) {  // I3
  Pair pair;
  OutputQueue queue;
  std::string expected;
  for (int i = 0; i < 50; ++i) {
    queue.push(buffer(std::to_string(i) + ' '));
    expected += std::to_string(i) + ' ';
  }
  EXPECT_EQ(queue.bytes(), expected.size());  // I2
  auto done = queue.write_to(pair.near.get(), kAll);
  EXPECT_EQ(done.outcome, Outcome::drained);
  EXPECT_EQ(done.bytes, expected.size());
  EXPECT_EQ(done.writes, 1u);
  EXPECT_TRUE(queue.empty());
  EXPECT_EQ(pair.read(), expected);
}

TEST(OutputQueue, HoldsForEachBufferMoreThanItsBytes) {
  OutputQueue queue;
  EXPECT_EQ(queue.held(), 0u);
  BufferRef shared = buffer("x");
  for (int i = 0; i < 10; ++i) queue.push(shared);
  EXPECT_EQ(queue.bytes(), 10u);
  EXPECT_EQ(queue.held(), 10 * (1 + OutputQueue::kEntryBytes));
  auto all = [](const BufferRef&) { return true; };
  EXPECT_EQ(queue.drop_oldest(3 * (1 + OutputQueue::kEntryBytes), 0, all), 7u);
  EXPECT_EQ(queue.held(), 3 * (1 + OutputQueue::kEntryBytes));
  EXPECT_EQ(queue.drop_unsent(), 3u);
  EXPECT_EQ(queue.held(), 0u);
}

TEST(OutputQueue, EmptyOneWritesNothing) {
  Pair pair;
  OutputQueue queue;
  queue.push(buffer(""));
  auto done = queue.write_to(pair.near.get(), kAll);
  EXPECT_EQ(done.outcome, Outcome::drained);
  EXPECT_EQ(done.writes, 0u);
}

// Buffers of sizes that do not fit the socket's buffer evenly, read in pieces.
TEST(OutputQueue, GoesOnWhereAFullSocketStoppedIt) {
  Pair pair;
  OutputQueue queue;
  std::string expected;
  for (int i = 0; i < 400; ++i) {
    std::string text(size_t(1 + i * 37 % 9000), char('a' + i % 26));
    queue.push(buffer(text));
    expected += text;
  }
  std::string got;
  unsigned blocked = 0;
  for (;;) {
    size_t before = queue.bytes();
    auto done = queue.write_to(pair.near.get(), kAll);
    EXPECT_EQ(queue.bytes(), before - done.bytes);  // I2
    got += pair.read();
    if (done.outcome == Outcome::drained) break;
    ASSERT_EQ(done.outcome, Outcome::blocked);
    ++blocked;
  }
  EXPECT_GT(blocked, 0u);
  EXPECT_TRUE(got == expected);
}

TEST(OutputQueue, StopsAtItsBudget) {
  Pair pair;
  OutputQueue queue;
  for (int i = 0; i < 200; ++i) queue.push(buffer("0123456789"));
  auto done = queue.write_to(pair.near.get(), 1);
  EXPECT_EQ(done.outcome, Outcome::more);
  EXPECT_GT(done.bytes, 0u);
  EXPECT_EQ(queue.bytes(), 2000 - done.bytes);
  while (!queue.empty()) queue.write_to(pair.near.get(), 1);
  EXPECT_EQ(pair.read().size(), 2000u);
}

TEST(OutputQueue, TellsOfABrokenConnectionWithoutASignal) {
  Pair pair;
  pair.far.reset();
  OutputQueue queue;
  queue.push(buffer("x"));
  EXPECT_EQ(queue.write_to(pair.near.get(), kAll).outcome, Outcome::failed);
  EXPECT_EQ(errno, EPIPE);
}

TEST(OutputQueue, WhatIsPushedToTheFrontGoesFirst) {
  Pair pair;
  OutputQueue queue;
  queue.push_front(buffer("b"));
  queue.push(buffer("c"));
  queue.push(buffer("d"));
  queue.push_front(buffer("a"));
  EXPECT_EQ(queue.bytes(), 4u);
  queue.write_to(pair.near.get(), kAll);
  EXPECT_EQ(pair.read(), "abcd");
}

// Fills the socket until the first buffer is partly sent; returns how much of it went.
size_t block(OutputQueue& queue, int fd) {
  queue.push(buffer(std::string(4'000'000, 'x')));
  queue.push(buffer("second"));
  queue.push(buffer("third"));
  auto done = queue.write_to(fd, kAll);
  EXPECT_EQ(done.outcome, Outcome::blocked);
  return done.bytes;
}

TEST(OutputQueue, DropKeepsAPartlySentBufferWhole) {  // I3
  Pair pair;
  OutputQueue queue;
  size_t sent = block(queue, pair.near.get());
  ASSERT_GT(sent, 0u);
  EXPECT_EQ(queue.drop_unsent(), 2u);
  EXPECT_EQ(queue.bytes(), 4'000'000 - sent);
  queue.push(buffer("end"));
  std::string got;
  while (!queue.empty()) {
    got += pair.read();
    queue.write_to(pair.near.get(), kAll);
  }
  got += pair.read();
  EXPECT_TRUE(got == std::string(4'000'000, 'x') + "end");
}

TEST(OutputQueue, DropTakesAllThatIsUnsent) {
  OutputQueue queue;
  EXPECT_EQ(queue.drop_unsent(), 0u);
  for (const char* text : {"a", "b", "c"}) queue.push(buffer(text));
  EXPECT_EQ(queue.drop_unsent(), 3u);
  EXPECT_TRUE(queue.empty());
  Pair pair;
  queue.push(buffer("d"));
  queue.write_to(pair.near.get(), kAll);
  EXPECT_EQ(pair.read(), "d");
}

TEST(OutputQueue, TheOldestThatMayGoAreDropped) {
  auto no_capitals = [](const BufferRef& b) { return b.bytes()[0] >= 'a'; };
  for (size_t most = 0; most <= 7; ++most) {
    OutputQueue queue;
    for (const char* text : {"a", "B", "c", "d", "E", "f", "g"}) queue.push(buffer(text));
    size_t dropped = queue.drop_oldest(most * (1 + OutputQueue::kEntryBytes), 0, no_capitals);
    EXPECT_EQ(dropped, std::min<size_t>(7 - most, 5)) << most;
    EXPECT_EQ(queue.bytes(), 7 - dropped);
    std::string left;
    queue.for_each([&](const BufferRef& b) { left += b.bytes(); });
    const std::string expected[] = {"BE", "BE", "BE", "BEg", "BEfg", "BdEfg", "BcdEfg", "aBcdEfg"};
    EXPECT_EQ(left, expected[most]);
    Pair pair;
    queue.push(buffer("z"));
    queue.write_to(pair.near.get(), kAll);
    EXPECT_EQ(pair.read(), expected[most] + "z");
    EXPECT_TRUE(queue.empty());
  }
}

// Against a model, with several tags, some that may not go, and bytes that leave meanwhile.
TEST(OutputQueue, DroppingAmidTheQueueKeepsTheRestInOrder) {
  std::mt19937 random(7);
  OutputQueue queue;
  std::deque<std::pair<uint64_t, std::string>> model;
  auto may_go = [](const BufferRef& b) { return b.bytes()[0] != '!'; };
  for (int step = 0; step < 20'000; ++step) {
    unsigned dice = unsigned(random() % 100);
    if (dice < 70) {
      uint64_t tag = random() % 4;
      std::string text = (random() % 10 == 0 ? "!" : "m") + std::to_string(step) + ";";
      queue.push(BufferRef::concat(text).tagged(tag));
      model.emplace_back(tag, text);
    } else if (dice < 95) {
      uint64_t tag = random() % 4;
      size_t most = queue.held() - std::min<size_t>(queue.held(), random() % 400), dropped = 0;
      size_t held = queue.held();
      for (auto it = model.begin(); it != model.end() && held > most;) {
        bool partly = it == model.begin() && queue.sent() > 0;
        if (partly || it->first != tag || it->second[0] == '!') {
          ++it;
          continue;
        }
        held -= it->second.size() + OutputQueue::kEntryBytes;
        it = model.erase(it);
        ++dropped;
      }
      ASSERT_EQ(queue.drop_oldest(most, tag, may_go), dropped);
    } else {
      std::string taken;
      queue.take(taken, random() % 200);
      for (size_t left = taken.size(); left > 0;) {
        std::string& first = model.front().second;
        size_t sent = std::min(left, first.size());
        first.erase(0, sent);
        left -= sent;
        if (first.empty()) model.pop_front();
      }
    }
    std::string expected, is;
    for (auto& [tag, text] : model) expected += text;
    size_t skip = queue.sent();
    queue.for_each([&](const BufferRef& b) {
      is += b.bytes().substr(skip);
      skip = 0;
    });
    ASSERT_EQ(is, expected) << step;
    ASSERT_EQ(queue.bytes(), expected.size());
    ASSERT_EQ(queue.held(), expected.size() + model.size() * OutputQueue::kEntryBytes);
  }
}

TEST(OutputQueue, DroppingDoesNotLookAtTheWholeQueueEachTime) {
  OutputQueue queue;
  for (int i = 0; i < 10'000; ++i) queue.push(BufferRef::concat("x").tagged(1));
  size_t looked = 0;
  auto may_go = [&](const BufferRef&) { return ++looked > 0; };
  for (int i = 0; i < 1'000; ++i) {
    queue.push(BufferRef::concat("y").tagged(2));
    queue.drop_oldest(0, 2, may_go);
  }
  EXPECT_LE(looked, 12'000u);
  EXPECT_EQ(queue.bytes(), 10'000u);
}

TEST(OutputQueue, OfThoseDroppedNoneIsPartlySent) {  // I3
  Pair pair;
  OutputQueue queue;
  size_t sent = block(queue, pair.near.get());
  EXPECT_EQ(queue.drop_oldest(0, 0, [](const BufferRef&) { return true; }), 2u);
  EXPECT_EQ(queue.bytes(), 4'000'000 - sent);
}

TEST(OutputQueue, DropKeepsTheFirstWhereAsked) {
  OutputQueue queue;
  EXPECT_EQ(queue.drop_unsent(true), 0u);
  for (const char* text : {"a", "b", "c"}) queue.push(buffer(text));
  EXPECT_EQ(queue.drop_unsent(true), 2u);
  EXPECT_EQ(queue.bytes(), 1u);
  Pair pair;
  queue.write_to(pair.near.get(), kAll);
  EXPECT_EQ(pair.read(), "a");
}

}  // namespace
}  // namespace holdfast
