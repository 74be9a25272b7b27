// worker/clients/token.h - the token of a hand-shake: a JSON Web Token (RFC 7519), signed by a party that knows the user.
//
// So a hand-shake needs no request to the application: `sub` becomes the session's user, `channels` (an array of strings)
// its channels, `exp` its end. Signatures are verified by libjwt with the one algorithm and key of the listener; a token
// that names another algorithm is refused, and one with `crit`, for no extension is understood here.
//
// Claims are read here, and strictly: a token is refused if a name comes twice, `sub` is no text, or a time is no number from 0 to
// 10^12 (it need not be whole).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/result.h"
#include "conf/config.h"
#include "wire/http/request.h"

namespace holdfast::token {

inline constexpr size_t kMaxTokenBytes = 8 * 1024;

struct Claims {
  std::string user;  // "": none
  std::vector<std::string> channels;
  uint64_t expires_wall_s = 0;  // 0: never
};

// "Authorization: Bearer TOKEN", or else ?token=TOKEN, for browsers cannot send that header with a hand-shake; "": none.
std::string token_of(const http::Request& request);

// Claims that may be used at that time; or one sentence with the reason why not, without anything of the token.
Result<Claims> verify(const conf::ConnectToken& by, const std::string& token, uint64_t now_wall_s,
                      size_t max_channels);

}  // namespace holdfast::token
