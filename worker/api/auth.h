// worker/api/auth.h - may this request use the API?
//
// With tokens: "Authorization: Bearer TOKEN" with one of them. Without tokens (loopback and unix
// sockets only, conf/load sees to that): everybody on this machine may, but no web page. A browser
// adds Origin to every POST, so a request that carries one is refused.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "worker/http/request.h"

namespace holdfast::api {

enum class Access : uint8_t { granted, unauthorized, browser_refused };

Access judge_access(const std::vector<std::string>& tokens, const http::Request& request);

// Equality in a time that depends neither on where the two differ nor on how long the secret is:
// SHA-256 digests are compared.
bool same_secret(std::string_view given, std::string_view secret);

}  // namespace holdfast::api
