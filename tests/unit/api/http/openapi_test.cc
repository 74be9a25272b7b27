// The description and the server have the same routes. That the answers are as described is
// tests/openapi's business.
#include "worker/api/http/openapi.h"

#include <simdjson.h>

#include <fstream>
#include <set>
#include <sstream>

#include "tests/unit/api/api_harness.h"
#include "worker/api/http/call_shapes.h"

namespace holdfast::api {
namespace {

namespace dom = simdjson::dom;

class OpenApi : public ApiTest {
 protected:
  OpenApi() { EXPECT_EQ(parser.parse(openapi_json()).get(document), simdjson::SUCCESS); }

  // "GET /v1/users/{user}" and so on.
  std::set<std::string> described() {
    std::set<std::string> routes;
    for (auto path : dom::object(document["paths"]))
      for (auto method : dom::object(path.value)) {
        std::string name(method.key);
        std::transform(name.begin(), name.end(), name.begin(), ::toupper);
        routes.insert(name + " " + std::string(path.key));
      }
    return routes;
  }
  // A described path with something else in the place of its parameter.
  static std::string filled(std::string path, const std::string& text) {
    size_t open = path.find('{');
    if (open != std::string::npos) path.replace(open, path.find('}') - open + 1, text);
    return path;
  }
  static std::string concrete(const std::string& path) {
    bool session = path.find("{id}") != std::string::npos;
    return filled(path, session ? "0007000000000001aaaaaaaaaaaaaaaa" : "name");
  }
  // Every string literal of the source that begins with a slash.
  static std::vector<std::string> paths_in(const std::string& source) {
    std::vector<std::string> paths;
    for (size_t at = 0; (at = source.find("\"/", at)) != std::string::npos;) {
      size_t end = source.find('"', at + 1);
      paths.push_back(source.substr(at + 1, end - at - 1));
      at = end + 1;
    }
    return paths;
  }
  int status_of(const std::string& method, const std::string& target) {
    return answer_to({.method = method, .target = target}).status;
  }

  dom::parser parser;
  dom::element document;
};

TEST_F(OpenApi, IsOfThisVersion) {
  EXPECT_EQ(std::string_view(document["openapi"]), "3.1.0");
  EXPECT_EQ(std::string_view(document["info"]["version"]), HOLDFAST_VERSION);
  EXPECT_EQ(openapi_json().find("\n"), std::string_view::npos);
}

TEST_F(OpenApi, DescribesNoRouteThatTheServerLacks) {
  std::set<std::string> routes = described();
  EXPECT_GE(routes.size(), 20u);
  for (const std::string& route : routes) {
    size_t blank = route.find(' ');
    HttpAnswer answer =
        answer_to({.method = route.substr(0, blank), .target = concrete(route.substr(blank + 1))});
    EXPECT_NE(answer.status, 405) << route;
    if (answer.status == 404) {
      EXPECT_NE(error_code(answer), "not_found") << route;
    }
  }
}

TEST_F(OpenApi, DescribesEveryCall) {
  std::set<std::string> routes = described();
  for (const CallShape& shape : call_shapes())
    EXPECT_TRUE(routes.contains(fmt::format("POST /v1/{}", shape.name))) << shape.name;
}

// A route has its path in routes.cc: whatever looks like one there is asked for.
TEST_F(OpenApi, DescribesEveryRouteOfTheServer) {
  std::ifstream file(HOLDFAST_SOURCE_ROOT "/worker/api/http/routes.cc");
  std::stringstream source;
  source << file.rdbuf();
  std::set<std::string> templates;
  for (const std::string& route : described())
    templates.insert(filled(route.substr(route.find(' ') + 1), "*"));
  size_t found = 0;
  for (const std::string& path : paths_in(source.str())) {
    bool prefix = path.ends_with('/');
    if (status_of("PUT", prefix ? path + "name" : path) == 404) continue;
    ++found;
    EXPECT_TRUE(templates.contains(prefix ? path + "*" : path)) << path;
  }
  EXPECT_GE(found, 12u);
}

}  // namespace
}  // namespace holdfast::api
