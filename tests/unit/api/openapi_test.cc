// The description and the server have the same routes. That the answers are as described is
// tests/openapi's business.
#include "worker/api/openapi.h"

#include <simdjson.h>

#include <fstream>
#include <regex>
#include <set>
#include <sstream>

#include "tests/unit/api/api_harness.h"
#include "worker/api/call_shapes.h"

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
  // A described route with something in the place of its parameter.
  static std::string concrete(const std::string& path) {
    return std::regex_replace(
        path, std::regex("\\{id\\}|\\{\\w+\\}"),
        path.find("{id}") != std::string::npos ? "0007000000000001aaaaaaaaaaaaaaaa" : "name");
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

// A route has its path in http_api.cc: whatever looks like one there is asked for.
TEST_F(OpenApi, DescribesEveryRouteOfTheServer) {
  std::ifstream file(HOLDFAST_SOURCE_ROOT "/worker/api/http_api.cc");
  std::stringstream source;
  source << file.rdbuf();
  std::string text = source.str();
  std::set<std::string> templates;
  for (const std::string& route : described())
    templates.insert(
        std::regex_replace(route.substr(route.find(' ') + 1), std::regex("\\{\\w+\\}"), "*"));
  std::regex literal("\"(/[a-zA-Z0-9_./-]+)\"");
  size_t found = 0;
  for (std::sregex_iterator it(text.begin(), text.end(), literal), end; it != end; ++it) {
    std::string path = (*it)[1];
    bool prefix = path.ends_with('/');
    if (status_of("PUT", prefix ? path + "name" : path) == 404) continue;
    ++found;
    EXPECT_TRUE(templates.contains(prefix ? path + "*" : path)) << path;
  }
  EXPECT_GE(found, 12u);
}

}  // namespace
}  // namespace holdfast::api
