// ctl/lists.h - `holdfastctl users`, `channels`, `user NAME` and `channel NAME`: lists that only the
// workers know, asked for through the API and printed as they come.
//
// With --json it is one line as well: one object whose list is written page by page. If a page
// fails, the object is closed properly and reports it ("error"); the exit code is 1.
#pragma once

#include <string>

#include "ctl/http_client.h"
#include "ctl/options.h"
#include "ctl/pages.h"

namespace holdfast::ctl {

ListQuery query_of(const Options& options);
// The list out of `fetch`, to stdout.
ExitCode print_list(const Options& options, const Fetch& fetch);

ExitCode run_list(const Options& options);

}  // namespace holdfast::ctl
