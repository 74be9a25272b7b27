// conf/origin.h - an origin as browsers send it (RFC 6454 section 6.2, and the URL standard's serialisation of hosts).
//
// Private to conf/.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::conf {

struct OriginRead {
  std::string
      origin;  // scheme and host in lower case, without the scheme's own port; "": no browser sends it
  std::string_view hint;  // then: what would be right; "": just not an origin
};

// "null" is one: a browser sends it for a page from a file.
OriginRead read_origin(std::string_view text);

}  // namespace holdfast::conf
