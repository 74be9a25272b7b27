#include "worker/api/auth.h"

#include <openssl/crypto.h>
#include <openssl/sha.h>
#include <strings.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <optional>
#include <utility>

namespace holdfast::api {
namespace {

using Digest = std::array<unsigned char, SHA256_DIGEST_LENGTH>;

Digest digest_of(std::string_view text) {
  Digest digest;
  SHA256(reinterpret_cast<const unsigned char*>(text.data()), text.size(), digest.data());
  return digest;
}

bool same(const Digest& a, const Digest& b) {
  return CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

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

unsigned known_scopes(const std::vector<conf::Token>& tokens, std::string_view given,
                      KnownToken* known) {
  if (known == nullptr) return scopes_of(tokens, given);
  if (known->scopes != 0 && known->secret.size() == given.size() &&
      CRYPTO_memcmp(known->secret.data(), given.data(), given.size()) == 0)
    return known->scopes;
  unsigned scopes = scopes_of(tokens, given);
  if (scopes != 0) *known = {std::string(given), scopes};
  return scopes;
}

// "[::1]:80" and "localhost:80" without what comes behind the host, and without brackets.
std::string_view without_port(std::string_view host) {
  if (host.starts_with('[')) {
    size_t end = host.find(']');
    bool sound = end != host.npos && (end + 1 == host.size() || host[end + 1] == ':');
    return sound ? host.substr(1, end - 1) : std::string_view();
  }
  return host.substr(0, host.find(':'));
}

// Of a target in absolute form: "http://user@host:80/path".
std::string_view authority_of(std::string_view target) {
  size_t scheme = target.find("://");
  if (target.starts_with('/') || scheme == target.npos) return {};
  target.remove_prefix(scheme + 3);
  std::string_view authority = target.substr(0, target.find_first_of("/?#"));
  return authority.substr(authority.rfind('@') + 1);  // npos + 1 is 0
}

bool is_loopback(const in6_addr& address) {
  return IN6_IS_ADDR_LOOPBACK(&address) ||
         (IN6_IS_ADDR_V4MAPPED(&address) && address.s6_addr[12] == 127);
}

bool is_our_name(const conf::Api& api, std::string_view name) {
  if (std::optional<in6_addr> address = conf::parse_ip(name)) return is_loopback(*address);
  auto same = [&](std::string_view other) {
    return name.size() == other.size() && strncasecmp(name.data(), other.data(), name.size()) == 0;
  };
  return same("localhost") || std::any_of(api.hosts.begin(), api.hosts.end(), same);
}

}  // namespace

bool same_secret(std::string_view given, std::string_view secret) {
  return same(digest_of(given), digest_of(secret));
}

std::string secret_digest(std::string_view secret) {
  Digest digest = digest_of(secret);
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

unsigned scopes_of(const std::vector<conf::Token>& tokens, std::string_view given) {
  return scopes_of_digest(tokens, secret_digest(given));
}

unsigned scopes_of_digest(const std::vector<conf::Token>& tokens, std::string_view digest) {
  Digest asked{};
  if (digest.size() != asked.size()) return 0;
  std::memcpy(asked.data(), digest.data(), asked.size());
  unsigned scopes = 0;
  for (const conf::Token& token : tokens) {  // all of them: the time must not say which one matched
    bool fits = same(asked, digest_of(token.secret));
    scopes |= fits ? token.scopes : 0u;
  }
  return (scopes & conf::kScopeAdmin) != 0 ? conf::kAllScopes : scopes;
}

Access judge_access(const std::vector<conf::Token>& tokens, const http::Request& request,
                    unsigned scopes, KnownToken* known) {
  if (tokens.empty()) return request.header("Origin") ? Access::browser_refused : Access::granted;
  std::optional<std::string_view> given = bearer_token(request);
  unsigned has = given ? known_scopes(tokens, *given, known) : 0u;
  if (has == 0) return Access::unauthorized;
  return (has & scopes) == scopes ? Access::granted : Access::forbidden;
}

std::optional<std::string> foreign_host(const conf::Api& api, const http::Request& request) {
  bool reachable = api.address.raw.ss_family == AF_INET || api.address.raw.ss_family == AF_INET6;
  if (!reachable || !api.tokens.empty() || !api.client_ca.empty()) return {};
  std::optional<std::string_view> host = request.header("Host");
  if (host && !is_our_name(api, without_port(*host))) return std::string(*host);
  std::string_view authority =
      authority_of(request.target);  // it would win over Host (RFC 9112 section 3.2.2)
  if (!authority.empty() && !is_our_name(api, without_port(authority)))
    return std::string(authority);
  return {};
}

std::string scope_names(unsigned scopes) {
  std::string names;
  for (auto [scope, name] : {std::pair{conf::kScopePush, "push"},
                             {conf::kScopeQuery, "query"},
                             {conf::kScopeAdmin, "admin"}}) {
    if ((scopes & scope) == 0) continue;
    if (!names.empty()) names += ", ";
    names += name;
  }
  return names;
}

}  // namespace holdfast::api
