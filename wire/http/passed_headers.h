// wire/http/passed_headers.h - which headers of a client's request an application gets to see, by any protocol.
//
// Applications find a header by a name in which case is lost and every other character has become '_' (CGI's HTTP_*, RFC 3875 section
// 4.1.18; PHP does it with '.' too). So X.Forwarded.User or X_Forwarded_User from a client would be taken for the X-Forwarded-User
// that a proxy sets. The rule, for every kind of back end:
//   - Only names of [A-Za-z0-9-] are passed on. Others are left out silently, as nginx leaves out those with '_'.
//   - `Proxy` is left out (httpoxy, CVE-2016-5385), Accept-Encoding, for an answer that is encoded cannot be a message, and
//     Content-Length and Content-Type, which are the hand-shake's and not those of the requests that are made of it.
//   - Lines of one name are one header (RFC 9110 section 5.3), in their order: the first has no precedence. A proxy must
//     replace a header that it vouches for, not add a line.
//   - Two Authorization lines, or two names that an application could not distinguish, do not come by mistake:
//     such a hand-shake is refused (doubtful_header()).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.h"

namespace holdfast::http {

// By the rule, each name once, at the place of its first line. Values of lines of one name are joined with ", ", of Cookie with
// "; " (RFC 9113 section 8.2.3).
std::vector<Header> passed_headers(const Request& request);

// The name of the header that makes the request doubtful, as sent; "": none does.
std::string_view doubtful_header(const Request& request);

// As CGI has it: upper case, every other character '_', and HTTP_ before it.
std::string cgi_name(std::string_view header);

}  // namespace holdfast::http
