// worker/handover/receiver.h - the successor's side: makes everything of a slot anew from what the predecessor
// sends, and has the slot in the end.
//
// Until then it writes nothing into the segment: the predecessor may still go on. What it makes is counted
// already (gauges, filter), for the same things were there before.
#pragma once

#include "worker/handover/sender.h"

namespace holdfast::handover {

// Ok: the slot is ours; Connection::resume() is still to be called. Else it is the predecessor's, or nobody's,
// and this process has to end: what was made so far is of no use.
Result<void> take_over(const Estate& estate, UniqueFd socket);

}  // namespace holdfast::handover
