// worker/observe/metrics.h - the segment's counters, for machines: JSON for /v1/stats, Prometheus text
// for /metrics.
//
// Reads the segment only, so any worker answers for the whole instance, also while another one
// hangs. Values of different words are read one after the other and need not fit each other to the
// last event.
#pragma once

#include <string>

#include "shm/segment.h"

namespace holdfast::api {

// Counters and gauges summed over all slots, histograms merged; one object for each slot that has a
// process.
std::string stats_json(const shm::Segment& segment);

// Text exposition format 0.0.4. One series for each slot that has had a process since the instance
// started, so that a counter never vanishes when its worker does.
std::string prometheus_text(const shm::Segment& segment);
inline constexpr char kPrometheusType[] = "text/plain; version=0.0.4; charset=utf-8";

}  // namespace holdfast::api
