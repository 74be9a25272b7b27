// worker/routing/result_record.h - the answer of one worker to another: a CommandResult as records for the ring, and many of them
// put together into one.
//
// A record (native byte order, ByteWriter):
//   token u64 | last u8 | flags u8 (1 partial, 2 more, 4 session known) | delivered u64 | refused u64 | members u64 |
//   subscribers u64 | items: u8 tag and fields, until the end
// Numbers and flags stand in the last record only; items are spread over as many as they need.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "worker/routing/command.h"

namespace holdfast {

// At least one; none has more than `max_bytes`, unless a single item does (then the sender fails and counts).
std::vector<std::string> result_records(uint64_t token, const CommandResult& result,
                                        size_t max_bytes);

// Whose answer it is. False: too short to have it.
bool read_record_token(std::string_view bytes, uint64_t* token);
// Adds a record to `result`. False: it made no sense; the items read before stay in.
bool merge_record(std::string_view bytes, CommandResult& result, bool* last);

// Adds the results of this worker itself.
void merge_own(CommandResult&& own, CommandResult& result);

// Everything is in: one entry a name with its counts summed, both lists sorted and cut to `limit`.
void settle_lists(CommandResult& result, uint32_t limit);

}  // namespace holdfast
