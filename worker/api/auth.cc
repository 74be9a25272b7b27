#include "worker/api/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <strings.h>

#include <optional>

namespace holdfast::api {
namespace {

// The token of "Bearer TOKEN" (RFC 6750 section 2.1; the scheme's case does not matter), or empty.
std::optional<std::string_view> bearer_token(const http::Request& request) {
  constexpr std::string_view kScheme = "Bearer ";
  std::optional<std::string_view> value = request.header("Authorization");
  if (!value || value->size() <= kScheme.size()) return {};
  if (strncasecmp(value->data(), kScheme.data(), kScheme.size()) != 0) return {};
  value->remove_prefix(kScheme.size());
  while (value->starts_with(' ')) value->remove_prefix(1);
  return value;
}

bool any_matches(const std::vector<std::string>& tokens, std::string_view given) {
  bool found = false;
  for (const std::string& token : tokens)  // all of them: the time must not say which one matched
    found = same_secret(given, token) || found;
  return found;
}

}  // namespace

bool same_secret(std::string_view given, std::string_view secret) {
  unsigned char a[SHA256_DIGEST_LENGTH], b[SHA256_DIGEST_LENGTH];
  SHA256(reinterpret_cast<const unsigned char*>(given.data()), given.size(), a);
  SHA256(reinterpret_cast<const unsigned char*>(secret.data()), secret.size(), b);
  return CRYPTO_memcmp(a, b, sizeof a) == 0;
}

Access judge_access(const std::vector<std::string>& tokens, const http::Request& request) {
  if (tokens.empty()) return request.header("Origin") ? Access::browser_refused : Access::granted;
  std::optional<std::string_view> given = bearer_token(request);
  return given && any_matches(tokens, *given) ? Access::granted : Access::unauthorized;
}

}  // namespace holdfast::api
