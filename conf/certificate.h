// conf/certificate.h - a certificate and its key, as OpenSSL wants them.
#pragma once

#include <openssl/ssl.h>

#include <string>
#include <vector>

#include "base/result.h"
#include "conf/config.h"

namespace holdfast::conf {

// Errc::bad_input: the chain or the key cannot be used, and why. A key must not need a pass phrase.
Result<void> use_certificate(SSL_CTX* context, const Certificate& certificate);
// Clients must show a certificate that one of these has signed; they are sent its names. Errc::bad_input: `authorities` are no
// PEM certificates.
Result<void> require_client_certificate(SSL_CTX* context, const std::string& authorities);

// Names of groups for the key exchange, the server's choice first. Errc::bad_input: one that OpenSSL does not know, two that are the
// same, or none at all.
Result<void> use_groups(SSL_CTX* context, const std::vector<std::string>& groups);

}  // namespace holdfast::conf
