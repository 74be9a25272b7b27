// ctl/counters.h - `holdfastctl counters [NAME...]`: what each counter means, as counters.def has it.
//
// It is what this binary knows and needs no instance. Without a name it is a table of all; with
// names, each may be a counter's ("push.send") or a group's ("push"), and paragraphs explain them.
// The paragraphs are in this file's object and nowhere else.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "ctl/options.h"
#include "ctl/screen.h"

namespace holdfast::ctl {

// Indexes in shm::all_stats(), in its order, each once; of no name: all. Errc::bad_input names the
// first that is neither a counter nor a group.
Result<std::vector<size_t>> find_counters(const std::vector<std::string>& names);
// Of an index in shm::all_stats().
std::string_view paragraph_of(size_t index);

std::string counters_table(const std::vector<size_t>& which, const Style& style = {});
// Name, kind, unit, sentence and paragraph of each, not wider than 80 columns.
std::string counters_explained(const std::vector<size_t>& which, const Style& style = {});
std::string counters_json(const std::vector<size_t>& which);

ExitCode run_counters(const Options& options);

}  // namespace holdfast::ctl
