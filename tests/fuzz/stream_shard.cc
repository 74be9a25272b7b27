// A shard of kept messages: blocks that something else has written are walked without leaving them; what its home adds and frees is
// what the process after it finds.
#include "shm/stream_shard.h"

#include <map>

#include "tests/fuzz/fuzz.h"

namespace {

using namespace holdfast;
using shm::BlockKind;
using shm::kNoBlock;
using shm::StreamShard;

struct Free {
  void operator()(char* p) const { ::operator delete[](p, std::align_val_t{4096}); }
};

char* memory() {
  static std::unique_ptr<char[], Free> bytes(
      new (::operator new[](shm::kShardBytes, std::align_val_t{4096})) char[shm::kShardBytes]());
  return bytes.get();
}

using Blocks = std::map<uint32_t, std::pair<BlockKind, uint32_t>>;  // kind, channel's block

// All that can be read of the blocks is read.
Blocks walked(StreamShard& shard, bool* sound) {
  Blocks found;
  *sound = shard.walk([&](BlockKind kind, uint32_t block, uint32_t channel) {
    found[block] = {kind, channel};
    std::string_view text =
        kind == BlockKind::channel ? shard.name(block) : shard.message(block).data;
    fuzz::expect(
        text.data() >= memory() && text.data() + text.size() <= memory() + shm::kShardBytes,
        "a text lies in the shard");
    fuzz::expect(text.size() <= shard.block_bytes(block), "a text lies in its block");
  });
  return found;
}

void read_damaged(std::string_view bytes) {
  if (bytes.size() < 2) return;
  shm::ShardHead head{};
  head.used = uint8_t(bytes[0]) | uint64_t{uint8_t(bytes[1])} << 8;
  bytes.remove_prefix(2);
  std::memcpy(memory(), bytes.data(), bytes.size());
  StreamShard shard(head, memory(), nullptr);
  bool sound = false;
  Blocks found = walked(shard, &sound);
  fuzz::expect(sound || head.used == 0, "a shard that makes no sense is empty");
  if (sound) {
    shard.gather();
    fuzz::expect(walked(shard, &sound) == found && sound, "gather() moves nothing");
  }
  std::memset(memory(), 0, bytes.size());
}

// Three bytes a step.
void live(std::string_view steps) {
  shm::ShardHead head{};
  StreamShard shard(head, memory(), nullptr);
  Blocks expected;
  uint32_t channel = kNoBlock;
  for (uint64_t offset = 1; steps.size() >= 3; steps.remove_prefix(3), ++offset) {
    auto size = size_t{uint8_t(steps[1])} << (uint8_t(steps[0]) >> 5);
    std::string data(size, steps[2]);
    uint32_t block = kNoBlock;
    switch (steps[0] & 3) {
      case 0:
        block = shard.add_channel(data.substr(0, 200), 1 + offset, offset);
        if (block != kNoBlock) expected[channel = block] = {BlockKind::channel, 0};
        break;
      case 1:
      case 2:
        if (channel == kNoBlock) break;
        block = shard.add_message(channel, {offset, offset, 1, data});
        if (block == kNoBlock) break;
        expected[block] = {BlockKind::message, channel};
        fuzz::expect(shard.message(block).data == data, "a message is read as it was added");
        break;
      default: {
        auto at = expected.lower_bound(uint32_t(size));
        if (at == expected.end() || at->second.first != BlockKind::message) {
          shard.gather();
          break;
        }
        shard.free(at->first);
        expected.erase(at);
      }
    }
    bool sound = false;
    StreamShard next(head, memory(), nullptr);
    fuzz::expect(walked(next, &sound) == expected && sound, "the next home finds what there is");
  }
  std::memset(memory(), 0, head.used * shm::kGranule);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  std::string_view bytes = fuzz::view(data, size);
  read_damaged(bytes);
  live(bytes.substr(0, 300));
  return 0;
}
