#include "worker/clients/token.h"

#include <jwt.h>
#include <strings.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <set>

#include "base/base64url.h"
#include "simdjson.h"
#include "worker/routing/command.h"

namespace holdfast::token {
namespace {

struct FreeJwt {
  void operator()(jwt_t* jwt) const { jwt_free(jwt); }
};
constexpr double kLatest = 1e12;  // seconds since 1970: whoever counts in smaller units is mistaken

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

// One part of a token, which must be a JSON object with each name once: of two that differ one reader would believe the
// first, another the last (RFC 7519 section 4, RFC 7515 section 4).
class Part {
 public:
  // False: it is none.
  bool read(std::string_view base64url) {
    std::optional<std::string> text = from_base64url(base64url);
    if (!text || parser_.parse(*text).get_object().get(object_) != simdjson::SUCCESS) return false;
    std::set<std::string_view> names;
    return std::all_of(object_.begin(), object_.end(),
                       [&](const auto& member) { return names.insert(member.key).second; });
  }
  // Empty: it has no such member.
  std::optional<simdjson::dom::element> member(std::string_view name) const {
    simdjson::dom::element found;
    if (object_.at_key(name).get(found) != simdjson::SUCCESS) return {};
    return found;
  }
  // False: it is there and no text.
  bool read_text(std::string_view name, std::string* text) const {
    auto value = member(name);
    std::string_view read;
    if (!value) return true;
    if (value->get(read) != simdjson::SUCCESS) return false;
    *text = read;
    return true;
  }

 private:
  simdjson::dom::parser parser_;
  simdjson::dom::object object_;
};

std::string_view name_of(conf::TokenAlgorithm algorithm) {
  switch (algorithm) {
    case conf::TokenAlgorithm::hs256:
      return "HS256";
    case conf::TokenAlgorithm::rs256:
      return "RS256";
    case conf::TokenAlgorithm::es256:
      return "ES256";
  }
  return "";
}

// Of RFC 7515 section 4.1: `alg` is the listener's, letter by letter, and `crit` is not there, for no extension is understood
// here, and whoever lists one does not want the token to be taken without it (section 4.1.11).
Result<void> check_header(std::string_view base64url, conf::TokenAlgorithm algorithm) {
  Part header;
  if (!header.read(base64url)) return bad("the token's header cannot be read");
  std::string named;
  if (!header.read_text("alg", &named) || named != name_of(algorithm))
    return bad("the token's signature is not good");
  if (header.member("crit")) return bad("crit names what is not understood here");
  return {};
}

// A NumericDate (RFC 7519 section 2), which need not be whole; empty: the claim is not there. False: it is no time.
bool read_time(const Part& claims, std::string_view name, std::optional<double>* seconds) {
  auto value = claims.member(name);
  double read = 0;
  if (!value) return true;
  if (value->get_double().get(read) != simdjson::SUCCESS) return false;
  if (!(read >= 0) || read > kLatest) return false;
  *seconds = read;
  return true;
}

// The strings of an array, or one string alone, as "aud" may be. False: it is neither.
bool read_texts(const Part& claims, std::string_view name, bool alone,
                std::vector<std::string>* texts) {
  auto value = claims.member(name);
  if (!value) return true;
  std::string_view one;
  if (alone && value->get(one) == simdjson::SUCCESS) {
    texts->emplace_back(one);
    return true;
  }
  simdjson::dom::array items;
  if (value->get(items) != simdjson::SUCCESS) return false;
  for (simdjson::dom::element item : items) {
    if (item.get(one) != simdjson::SUCCESS) return false;
    texts->emplace_back(one);
  }
  return true;
}

// What is not whole is rounded to the second that gives less time: a token of half a second is none.
Result<void> check_time(const Part& claims, uint64_t now_wall_s, uint64_t* expires) {
  std::optional<double> end, begin, issued;
  if (!read_time(claims, "exp", &end)) return bad("exp is not a time");
  if (!read_time(claims, "nbf", &begin)) return bad("nbf is not a time");
  if (!read_time(claims, "iat", &issued)) return bad("iat is not a time");
  *expires = end ? uint64_t(*end) : 0;
  if (end && *expires <= now_wall_s) return bad("the token has expired");
  if (begin && uint64_t(std::ceil(*begin)) > now_wall_s) return bad("the token is not valid yet");
  return {};
}

Result<void> check_audience(const Part& claims, const std::string& audience) {
  if (audience.empty()) return {};
  std::vector<std::string> named;
  if (!read_texts(claims, "aud", true, &named)) return bad("aud is not a text or a list of texts");
  for (const std::string& name : named)
    if (name == audience) return {};
  return bad("the token is for somebody else");
}

// By libjwt, which decodes a token of whatever algorithm its header names.
bool is_signed(const conf::ConnectToken& by, const std::string& token) {
  jwt_t* decoded = nullptr;
  int failed =
      jwt_decode(&decoded, token.c_str(), reinterpret_cast<const unsigned char*>(by.key.data()),
                 int(by.key.size()));
  std::unique_ptr<jwt_t, FreeJwt> jwt(decoded);
  // An HS256 token signed with the text of a public key is decoded without complaint.
  return failed == 0 && jwt && jwt_get_alg(jwt.get()) == algorithm_of(by.algorithm);
}

Result<Claims> read_claims(const Part& part, size_t max_channels) {
  Claims claims;
  if (!part.read_text("sub", &claims.user)) return bad("sub is not a text");
  if (!claims.user.empty() && !valid_user(claims.user)) return bad("sub is no valid user id");
  if (!read_texts(part, "channels", false, &claims.channels))
    return bad("channels is not a list of texts");
  if (claims.channels.size() > max_channels) return bad("too many channels");
  for (const std::string& channel : claims.channels)
    if (!valid_channel(channel)) return bad("channels has what is no channel's name");
  return claims;
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
  size_t first = token.find('.'), second = token.find('.', first + 1);
  if (auto good = check_header(token.substr(0, first), by.algorithm); !good)
    return std::move(good.error());
  if (!is_signed(by, token)) return bad("the token's signature is not good");
  Part part;
  if (!part.read(token.substr(first + 1, second - first - 1)))
    return bad("the token's claims cannot be read");
  uint64_t expires = 0;
  if (auto good = check_time(part, now_wall_s, &expires); !good) return std::move(good.error());
  if (auto good = check_audience(part, by.audience); !good) return std::move(good.error());
  Result<Claims> claims = read_claims(part, max_channels);
  if (claims) claims->expires_wall_s = expires;
  return claims;
}

}  // namespace holdfast::token
