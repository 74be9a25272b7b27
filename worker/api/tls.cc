#include "worker/api/tls.h"

#include "worker/net/tls_connection_impl.h"

namespace holdfast {

template class TlsConnection<ApiConnection>;

}  // namespace holdfast
