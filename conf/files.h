// conf/files.h - whole small files: the configuration, a page, a token file. Private to conf/.
#pragma once

#include <string>

#include "base/result.h"

namespace holdfast::conf {

struct WholeFile {
  std::string text;
  unsigned mode = 0;  // permission bits
};

// A regular file of at most `max_bytes`. Anything else (a FIFO would block, a device never end) is
// an error whose text says why.
Result<WholeFile> read_whole(const std::string& path, size_t max_bytes);

}  // namespace holdfast::conf
