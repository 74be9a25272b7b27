// worker/net/tls/anchors.h - the authority that vouches for a client's certificate, in few bytes: a digest of the name and the key
// of the one at the end of its chain. An authority whose certificate was renewed with the same key stays the same one.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <vector>

namespace holdfast::tls {

inline constexpr char kNoAnchor[] = "-";  // of a connection that showed no certificate

// After a hand-shake.
std::string anchor_of(const SSL* ssl);
// Of all certificates in a client_ca; those that cannot be read are left out.
std::vector<std::string> anchors_in(const std::string& pem);

}  // namespace holdfast::tls
