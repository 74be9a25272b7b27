// worker/handover/receiver.h - the successor's side: makes everything of a slot anew from the predecessor's
// records, and has the slot in the end.
//
// Until then it writes nothing into the segment: the predecessor may still go on. The objects that it makes are
// counted already (gauges, filter), for the same ones were there before.
#pragma once

#include "worker/handover/sender.h"

namespace holdfast::handover {

// Ok: the slot is ours; Connection::resume() is still to be called. Else it is the predecessor's, or nobody's,
// and this process has to end: the objects made so far are of no use.
Result<void> take_over(const Estate& estate, UniqueFd socket);

}  // namespace holdfast::handover
