// worker/routing/result_record.h - the answer of one worker to another: a CommandResult as records for the ring, and many of them
// put together into one.
//
// Version 0 (records.h), the layout of commit 64a7ea7:
//   token u64 | last u8 | flags u8 (1 partial, 2 more, 4 session known) | delivered u64 | refused u64 | members u64 |
//   subscribers u64 | items: tag u8 and fields, until the end
// Version 1:
//   token u64 | head (op: last; the same flags) | the same four numbers | items: tag u8 | bytes u32 | fields
// In version 1 a reader passes over items that it does not know, and over what an item has behind the fields that it knows.
// Tags, the same in both: 1 name, 2 member, 3 channel, 4 pair, 5 unknown session. In version 1 also: 6 position, 7 stream, 8 kept
// message, 9 expected (with kNeededItem: others answer, too). With kNeededItem for those without which the
// rest is wrong. A reply has the version of its command.
//
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
                                        size_t max_bytes, uint8_t version = 0);

// Whose answer it is. False: too short to have it.
bool read_record_token(std::string_view bytes, uint64_t* token);
// Adds a record to `result`. False: it made no sense; the items read before stay in.
bool merge_record(std::string_view bytes, CommandResult& result, bool* last);

// Adds the results of this worker itself.
void merge_own(CommandResult&& own, CommandResult& result);

// Everything is in: one entry a name with its counts summed, both lists sorted and cut to `limit`.
void settle_lists(CommandResult& result, uint32_t limit);

}  // namespace holdfast
