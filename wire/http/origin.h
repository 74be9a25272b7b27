// wire/http/origin.h - which pages of other hosts may use a listener, and what their browsers want to be told.
//
// A WebSocket is refused by its Origin and that is all; for answers to ordinary requests a browser asks the answer itself (the Fetch
// standard, CORS), so these carry cors_lines(). Cookies and Authorization of the page's user come along, hence Allow-Credentials and the
// one origin that asked, never "*".
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wire/http/request.h"

namespace holdfast::http {

// `origins`: [] = Origin's host:port equals Host, ["*"] = any, else a list compared without case and without the scheme's own port
// (RFC 6454 section 4).
bool origin_allowed(std::string_view origin, std::string_view host,
                    const std::vector<std::string>& origins);
// Header lines for the answer to a page of this origin, which is allowed; for a request without Origin ("") only that another may get
// another answer.
std::string cors_lines(std::string_view origin);
// The lines of the answer to a preflight, beside cors_lines(): for a request with any of `methods`.
std::string preflight_lines(std::string_view methods);

}  // namespace holdfast::http
