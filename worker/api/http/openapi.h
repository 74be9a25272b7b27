// worker/api/http/openapi.h - the description of the HTTP API, for GET /v1/openapi.json.
#pragma once

#include <string_view>

namespace holdfast::api {

// OpenAPI 3.1: openapi.json without white space. Open to everybody, as /healthz is: it reveals nothing
// of the instance. Its definition is generated at build time
// (embed_openapi.py), which also fails the build if the file is no JSON.
std::string_view openapi_json();

}  // namespace holdfast::api
