// worker/api/auth.h - may this request use the API, and for what?
//
// With tokens: HTTP's "Authorization: Bearer TOKEN" or RESP's AUTH, with one of them; its rights are
// its scopes (conf::kScope...). Without tokens (loopback and unix sockets only, conf/load ensures
// that): everybody on this machine may do everything, but no web page. A browser adds
// Origin to every POST, so a request that carries one is refused.
#pragma once

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "conf/config.h"
#include "wire/http/request.h"

namespace holdfast::api {

// By DNS rebinding a page can be of an origin whose name leads to this machine; to a GET of its own origin a browser adds no
// Origin. So without tokens Host must be a name that no stranger can point here: a loopback address in numbers, localhost,
// or one of the listener's `hosts`. No browser leaves Host out, so HTTP/1.0 may. Not required on unix sockets, which no
// browser reaches, and from a client that has shown a certificate.
//
// The Host that is not good enough, or nothing.
std::optional<std::string> foreign_host(const conf::Api& api, const http::Request& request);

enum class Access : uint8_t { granted, unauthorized, browser_refused, forbidden };

// The scopes of the token that equals `given` (admin stands for all); 0: none does. All are
// compared, each in a time that reveals nothing.
unsigned scopes_of(const std::vector<conf::Token>& tokens, std::string_view given);

// SHA-256 of a token, 32 bytes: a connection that has shown it keeps this, to be judged anew after a reload.
std::string secret_digest(std::string_view secret);
unsigned scopes_of_digest(const std::vector<conf::Token>& tokens, std::string_view digest);

// The last good token that came by one connection: its next request then costs one comparison (in
// constant time) instead of a digest of every token.
struct KnownToken {
  std::string secret;
  unsigned scopes = 0;
};

// For something that needs all of `scopes` (0: any token). `forbidden`: a good token without them.
Access judge_access(const std::vector<conf::Token>& tokens, const http::Request& request,
                    unsigned scopes, KnownToken* known = nullptr);

// "push, query": for the message that refuses.
std::string scope_names(unsigned scopes);

// Equality in a time that depends neither on where the two differ nor on how long the secret is:
// SHA-256 digests are compared.
bool same_secret(std::string_view given, std::string_view secret);

}  // namespace holdfast::api
