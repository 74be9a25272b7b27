// Records in the rings between workers. The first byte says which: a command, or a piece of a reply.
#include "tests/fuzz/fuzz.h"
#include "worker/routing/command_record.h"
#include "worker/routing/records.h"
#include "worker/routing/result_record.h"

namespace {

using namespace holdfast;

std::string versioned(const Command& command) {
  std::string bytes;
  encode_versioned(bytes, command, command.data);
  return bytes;
}

// Version 0 has one form of each command; of version 1, what is known of it has.
void try_command(std::string_view bytes) {
  auto command = Command::decode(fuzz::Piece(bytes).view());
  if (!command) return;
  std::string written = command->encode();
  fuzz::expect(written.size() == command->encoded_bytes(), "its size is known");
  fuzz::expect(record_version(bytes) != 0 || written == bytes,
               "version 0 is written as it was read");
  std::string later = versioned(*command);
  auto again = Command::decode(later);
  fuzz::expect(again && versioned(*again) == later, "version 1 is read as it was written");
}

void try_reply(std::string_view bytes) {
  CommandResult result;
  bool last = false;
  if (!merge_record(fuzz::Piece(bytes).view(), result, &last)) return;
  for (uint8_t version : {uint8_t{0}, kRecordVersion}) {
    CommandResult again;
    std::vector<std::string> records = result_records(7, result, 1000, version);
    for (const std::string& record : records)
      fuzz::expect(merge_record(record, again, &last), "what was written is read");
    fuzz::expect(last, "the last piece says so");
    fuzz::expect(result_records(7, again, 1000, version) == records, "and is the same");
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) (data[0] % 2 == 0 ? try_command : try_reply)(fuzz::view(data + 1, size - 1));
  return 0;
}
