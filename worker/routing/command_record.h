// worker/routing/command_record.h - a Command as bytes for another worker (Command::encode(), Command::decode()), and as bytes
// that say whether two commands ask for the same.
//
// Version 0 (records.h), the layout of commit 64a7ea7:
//   op u8 | flags u8 (1 binary, 2 merge) | word u16 | sessions: u32 n, n x 16 | exclude: likewise |
//   channels: u32 n, n x (u32 len, bytes) | users: likewise | data: u32 len, bytes | reason: likewise |
//   pairs: u32 n, n x (u32 len, bytes; u32 len, bytes) | page: limit u32, position u64, prefix, after
// pairs only for Op::data, page only for the lists: a push is sent far more often.
//
// 64a7ea7 looks at `word` for a kick only, where it is the code. Two things that came later stand there, and are such that it does
// the best that can be done without them:
//   publish        1: sharded. Sessions in the channel get it; with them its plain RESP subscribers there, which should not.
//                  (As a record of version 1 it would reach nobody there.)
//   list_channels  the letter of another kind of names than channels' (hub.h). It stands before prefix and after, too: a name
//                  that begins so is one that 64a7ea7 does not have, and its answer, none, is right.
//
// Version 1:
//   head (flags: 1 binary, 2 merge, 4 sharded, 8 unkept, 16 reverse, 32 begin) | the four sends: sessions, exclude, channels, users, data as in version 0 |
//   numbered fields (base/fields.h): 1 code, 2 sessions, 3 exclude, 4 channels, 5 users, 6 data, 7 reason, 8 pairs, 9 limit,
//   10 position, 11 prefix, 12 after, 13 epoch, 14 offset, 15 answer_to, 16 version; a new field gets the next number and is zero where it means nothing
// Operations since 64a7ea7 are written so, and publishes with what came later (a position, a version). All are read so.
#pragma once

#include <string>
#include <string_view>

#include "worker/routing/command.h"

namespace holdfast {

// Appended in version 1, whatever the operation, with `payload` in the place of data.
void encode_versioned(std::string& bytes, const Command& command, std::string_view payload);

// Equal for two commands exactly if operation and fields are. It goes into fingerprints that outlive this binary
// (api/idempotency.h), so it never changes, whatever records look like: operations of 64a7ea7 as their version 0, for that is
// what 64a7ea7 takes its own fingerprints of; later ones as op u8, flags u16 and the numbered fields. A field that a command gets later
// has to add nothing while it is zero.
std::string comparable(const Command& command);

}  // namespace holdfast
