// worker/api/tls.h - an API connection that speaks TLS.
#pragma once

#include "worker/api/connection.h"
#include "worker/net/tls_connection.h"

namespace holdfast {

extern template class TlsConnection<ApiConnection>;

}  // namespace holdfast
