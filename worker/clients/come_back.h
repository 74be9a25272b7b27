// worker/clients/come_back.h - a request without the secret in it.
#pragma once

#include "wire/http/request.h"

namespace holdfast {

// As applications and logs see it: without resume, seen and session in its query, for a key is a secret.
// Is there a key in its query? Also where the listener has no resume (any more).
bool names_key(const http::Request& request);
http::Request without_key(const http::Request& request);

}  // namespace holdfast
