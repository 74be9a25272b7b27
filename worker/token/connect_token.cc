#include "worker/token/connect_token.h"

#include <jwt.h>
#include <strings.h>

#include <cerrno>
#include <cstdlib>
#include <memory>

#include "simdjson.h"
#include "worker/command.h"

namespace holdfast::token {
namespace {

struct FreeJwt {
  void operator()(jwt_t* jwt) const { jwt_free(jwt); }
};
struct FreeText {
  void operator()(char* text) const { free(text); }  // as jwt_get_grants_json() asks
};

jwt_alg_t algorithm_of(conf::TokenAlgorithm algorithm) {
  switch (algorithm) {
    case conf::TokenAlgorithm::hs256:
      return JWT_ALG_HS256;
    case conf::TokenAlgorithm::rs256:
      return JWT_ALG_RS256;
    case conf::TokenAlgorithm::es256:
      return JWT_ALG_ES256;
  }
  return JWT_ALG_NONE;
}

Error bad(std::string why) {
  return Error{Errc::bad_input, 0, std::move(why)};
}

// Three parts of base64url between dots (RFC 7515 section 7.1). libjwt and libb64 touch bytes behind an empty part.
bool well_formed(std::string_view token) {
  constexpr std::string_view kDigits =
      "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
  for (int part = 0; part < 3; ++part) {
    size_t size = part < 2 ? token.find('.') : token.size();
    if (size == token.npos || size == 0 || size % 4 == 1) return false;
    if (token.find_first_not_of(kDigits) < size) return false;
    token.remove_prefix(part < 2 ? size + 1 : size);
  }
  return true;
}

// A claim as JSON text; "": it is not there.
std::string json_of(jwt_t* jwt, const char* claim) {
  std::unique_ptr<char, FreeText> text(jwt_get_grants_json(jwt, claim));
  return text ? text.get() : "";
}

// Seconds since 1970; 0: the claim is not there. False: it is no such number.
bool read_time(jwt_t* jwt, const char* claim, uint64_t* seconds) {
  std::string text = json_of(jwt, claim);
  *seconds = 0;
  if (text.empty()) return true;
  simdjson::dom::parser parser;
  double value = 0;
  if (parser.parse(text).get_double().get(value) != simdjson::SUCCESS) return false;
  if (!(value > 0) || value > 1e12) return false;
  *seconds = uint64_t(value);
  return true;
}

// The strings of an array, or one string alone, as "aud" may be. False: it is neither.
bool read_texts(jwt_t* jwt, const char* claim, bool alone, std::vector<std::string>* texts) {
  std::string text = json_of(jwt, claim);
  if (text.empty()) return true;
  simdjson::dom::parser parser;
  simdjson::dom::element value;
  if (parser.parse(text).get(value) != simdjson::SUCCESS) return false;
  std::string_view one;
  if (alone && value.get(one) == simdjson::SUCCESS) {
    texts->emplace_back(one);
    return true;
  }
  simdjson::dom::array items;
  if (value.get(items) != simdjson::SUCCESS) return false;
  for (simdjson::dom::element item : items) {
    if (item.get(one) != simdjson::SUCCESS) return false;
    texts->emplace_back(one);
  }
  return true;
}

Result<void> check_time(jwt_t* jwt, uint64_t now_wall_s, uint64_t* expires) {
  uint64_t not_before = 0;
  if (!read_time(jwt, "exp", expires)) return bad("exp is not a time");
  if (!read_time(jwt, "nbf", &not_before)) return bad("nbf is not a time");
  if (*expires != 0 && *expires <= now_wall_s) return bad("the token has expired");
  if (not_before > now_wall_s) return bad("the token is not valid yet");
  return {};
}

Result<void> check_audience(jwt_t* jwt, const std::string& audience) {
  if (audience.empty()) return {};
  std::vector<std::string> named;
  if (!read_texts(jwt, "aud", true, &named)) return bad("aud is not a text or a list of texts");
  for (const std::string& name : named)
    if (name == audience) return {};
  return bad("the token is for somebody else");
}

}  // namespace

std::string token_of(const http::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  if (auto header = request.header("Authorization");
      header && header->size() > kScheme.size() &&
      strncasecmp(header->data(), kScheme.data(), kScheme.size()) == 0)
    return std::string(header->substr(kScheme.size()));
  auto named = http::query_values(request.query(), "token");
  return named && !named->empty() ? named->front() : std::string();
}

Result<Claims> verify(const conf::ConnectToken& by, const std::string& token, uint64_t now_wall_s,
                      size_t max_channels) {
  if (token.empty()) return bad("no token");
  if (token.size() > kMaxTokenBytes || !well_formed(token)) return bad("no JSON Web Token");
  jwt_t* decoded = nullptr;
  int failed =
      jwt_decode(&decoded, token.c_str(), reinterpret_cast<const unsigned char*>(by.key.data()),
                 int(by.key.size()));
  std::unique_ptr<jwt_t, FreeJwt> jwt(decoded);
  // An HS256 token signed with the text of a public key is decoded without complaint.
  if (failed != 0 || !jwt || jwt_get_alg(jwt.get()) != algorithm_of(by.algorithm))
    return bad("the token's signature is not good");
  Claims claims;
  if (auto good = check_time(jwt.get(), now_wall_s, &claims.expires_wall_s); !good)
    return std::move(good.error());
  if (auto good = check_audience(jwt.get(), by.audience); !good) return std::move(good.error());
  if (const char* subject = jwt_get_grant(jwt.get(), "sub")) claims.user = subject;
  if (!claims.user.empty() && !valid_user(claims.user)) return bad("sub is no valid user id");
  if (!read_texts(jwt.get(), "channels", false, &claims.channels))
    return bad("channels is not a list of texts");
  if (claims.channels.size() > max_channels) return bad("too many channels");
  for (const std::string& channel : claims.channels)
    if (!valid_channel(channel)) return bad("channels has what is no channel's name");
  return claims;
}

}  // namespace holdfast::token
