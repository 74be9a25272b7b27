// bench/micro/shm_bench.cc - the shared segment's parts, in private memory of the same layout.
#include <benchmark/benchmark.h>

#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "shm/channel_filter.h"
#include "shm/mailbox.h"
#include "shm/receipts.h"
#include "shm/session_directory.h"

namespace holdfast::shm {
namespace {

constexpr uint32_t kWorkers = 4;
constexpr uint32_t kPerSlab = 1 << 18;

// As many zeroed T as asked for, aligned as T wants; as the segment is when its pages are new.
template <class T>
class Zeroed {
 public:
  explicit Zeroed(size_t count)
      : memory_(static_cast<T*>(std::aligned_alloc(kPage, rounded(count * sizeof(T))))) {
    if (memory_ == nullptr) throw std::bad_alloc();
    std::memset(static_cast<void*>(memory_), 0, rounded(count * sizeof(T)));
  }
  Zeroed(const Zeroed&) = delete;
  Zeroed& operator=(const Zeroed&) = delete;
  ~Zeroed() { std::free(memory_); }
  T* get() const { return memory_; }

 private:
  static size_t rounded(size_t bytes) { return (bytes + kPage - 1) / kPage * kPage; }
  T* memory_;
};

// Indexes in an order that no prefetcher guesses.
std::vector<size_t> scattered(size_t n) {
  std::vector<size_t> order(n);
  uint64_t x = 1;
  for (size_t& index : order) {
    x = x * 6364136223846793005u + 1442695040888963407u;
    index = size_t(x >> 33) % n;
  }
  return order;
}

void directory_claim_release(benchmark::State& state) {
  Zeroed<DirectoryEntry> entries(kPerSlab);
  std::atomic<uint32_t> high_water = 0;
  Slab slab({entries.get(), 1, kPerSlab}, 0, 1, high_water);
  SessionOrigin origin;
  for (auto _ : state) {
    std::optional<SessionId> id = slab.claim(origin);
    slab.set_state(*id, SessionState::open);
    slab.release(*id);
  }
}
BENCHMARK(directory_claim_release)->Name("directory/claim_open_release");

// Over so many sessions: the larger ones do not fit the processor's caches.
void directory_find(benchmark::State& state) {
  auto sessions = size_t(state.range(0));
  Zeroed<DirectoryEntry> entries(kPerSlab);
  std::atomic<uint32_t> high_water = 0;
  SessionDirectory directory(entries.get(), 1, kPerSlab);
  Slab slab(directory, 0, 1, high_water);
  std::vector<SessionId> ids;
  for (size_t i = 0; i < sessions; ++i) {
    ids.push_back(*slab.claim({}));
    slab.set_state(ids.back(), SessionState::open);
  }
  std::vector<size_t> order = scattered(sessions);
  size_t at = 0;
  uint64_t found = 0;
  for (auto _ : state) {
    found += directory.find(ids[order[at]]).has_value();
    if (++at == sessions) at = 0;
  }
  if (found != uint64_t(state.iterations())) state.SkipWithError("a session was not found");
}
BENCHMARK(directory_find)->Name("directory/find")->Arg(100)->Arg(10'000)->Arg(200'000);

void directory_view(benchmark::State& state) {
  Zeroed<DirectoryEntry> entries(16);
  std::atomic<uint32_t> high_water = 0;
  SessionDirectory directory(entries.get(), 1, 16);
  Slab slab(directory, 0, 1, high_water);
  std::optional<SessionId> id = slab.claim({});
  slab.set_state(*id, SessionState::open);
  for (auto _ : state) benchmark::DoNotOptimize(directory.view(id->index()));
}
BENCHMARK(directory_view)->Name("directory/view");

void filter_raise_lower(benchmark::State& state) {
  constexpr uint32_t kBuckets = 65'536;
  Zeroed<std::atomic<uint16_t>> counts(size_t{kBuckets} * kWorkers);
  ChannelFilter filter(counts.get(), kBuckets, kWorkers, {1, 2});
  for (auto _ : state) {
    filter.raise(1, "room-4711");
    filter.lower(1, "room-4711");
  }
}
BENCHMARK(filter_raise_lower)->Name("filter/raise_lower");

void filter_for_each(benchmark::State& state) {
  constexpr uint32_t kBuckets = 65'536;
  auto workers = uint32_t(state.range(0));
  Zeroed<std::atomic<uint16_t>> counts(size_t{kBuckets} * workers);
  ChannelFilter filter(counts.get(), kBuckets, workers, {1, 2});
  filter.raise(workers - 1, "room-4711");
  uint64_t met = 0;
  for (auto _ : state) filter.for_each("room-4711", [&](uint32_t) { ++met; });
  if (met != uint64_t(state.iterations())) state.SkipWithError("the filter lost a member");
}
BENCHMARK(filter_for_each)->Name("filter/for_each_worker")->Arg(4)->Arg(64);

class Ring {
 public:
  explicit Ring(uint32_t capacity) : head_(1), bytes_(capacity), capacity_(capacity) {}
  MailboxRing mailbox() { return {head_.get(), bytes_.get(), capacity_}; }

 private:
  Zeroed<RingHead> head_;
  Zeroed<char> bytes_;
  uint32_t capacity_;
};

// One process plays both sides: the cost of the instructions, without that of moving cache lines.
void mailbox_push_pop(benchmark::State& state) {
  Ring ring(1 << 20);
  MailboxRing mailbox = ring.mailbox();
  std::string body(size_t(state.range(0)), 'x');
  bool broken = false;
  for (auto _ : state) {
    bool pushed = mailbox.push(1, body);
    std::optional<Record> record = mailbox.front(&broken);
    if (!pushed || !record) break;
    benchmark::DoNotOptimize(record->body.data());
    mailbox.pop();
  }
  if (broken) state.SkipWithError("the ring broke");
  state.SetBytesProcessed(int64_t(state.iterations()) * state.range(0));
}
BENCHMARK(mailbox_push_pop)->Name("mailbox/push_pop")->Arg(32)->Arg(256)->Arg(4096)->Arg(65536);

// A request with a new key, from the claim to the kept answer, in a table whose keys are all young.
// Over so many keys: the larger table does not fit the processor's caches.
void receipts_claim_complete(benchmark::State& state) {
  auto count = uint32_t(state.range(0));
  Zeroed<ReceiptEntry> entries(count);
  Zeroed<SlotHead> slots(kWorkers);
  slots.get()[1].pid = 4711;
  ReceiptTable table(entries.get(), count, slots.get(), kWorkers);
  std::string answer(100, 'x');
  uint64_t n = 0, refused = 0;
  for (auto _ : state) {
    ++n;
    // Half of the entries are of the last five minutes, the others are used again.
    uint64_t now = kReceiptLifeMs + n * kReceiptLifeMs / (count / 2);
    auto claim = table.claim({n, n * 0x9e3779b97f4a7c15u >> 32}, 1, 1, now);
    if (claim.verdict == ReceiptTable::Verdict::fresh)
      table.complete(claim, 200, answer);
    else
      ++refused;
  }
  // Of a bucket's 16 entries 8 are in use on average; sometimes it is full.
  if (refused * 20 > n) state.SkipWithError("too many buckets were full");
}
BENCHMARK(receipts_claim_complete)->Name("receipts/claim_complete")->Arg(1024)->Arg(65'536);

void receipts_repeat(benchmark::State& state) {
  constexpr uint32_t kCount = 1024;
  Zeroed<ReceiptEntry> entries(kCount);
  Zeroed<SlotHead> slots(kWorkers);
  ReceiptTable table(entries.get(), kCount, slots.get(), kWorkers);
  table.complete(table.claim({1, 1}, 1, 1, 1), 200, std::string(100, 'x'));
  for (auto _ : state) benchmark::DoNotOptimize(table.claim({1, 1}, 1, 1, 1));
}
BENCHMARK(receipts_repeat)->Name("receipts/repeat");

}  // namespace
}  // namespace holdfast::shm
