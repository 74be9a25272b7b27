#include "wire/ws/subprotocol.h"

#include <gtest/gtest.h>

namespace holdfast::ws {
namespace {

std::vector<std::string> offered(std::vector<std::string> lines) {
  http::Request request;
  for (std::string& line : lines) {
    request.headers.push_back({"X-Other", "mqtt"});
    request.headers.push_back({"sec-websocket-protocol", std::move(line)});
  }
  return offered_subprotocols(request);
}

using Names = std::vector<std::string>;

TEST(Subprotocol, OfferIsTheTokensOfAllLinesInOrder) {
  EXPECT_EQ(offered({}), Names{});
  EXPECT_EQ(offered({"mqtt"}), Names{"mqtt"});
  EXPECT_EQ(offered({"graphql-transport-ws, graphql-ws"}),
            (Names{"graphql-transport-ws", "graphql-ws"}));
  EXPECT_EQ(offered({"ocpp2.0.1 ,\tocpp1.6,", ",v12.stomp"}),
            (Names{"ocpp2.0.1", "ocpp1.6", "v12.stomp"}));
  EXPECT_EQ(offered({"", " ", ",,"}), Names{});
  EXPECT_EQ(offered({"a b, \"c\", d/e, f=, g"}), Names{"g"});
}

TEST(Subprotocol, ChosenIsTheFirstSpokenThatIsOffered) {
  EXPECT_EQ(choose_subprotocol({"a", "b"}, {"b", "a"}), "a");
  EXPECT_EQ(choose_subprotocol({"a", "b"}, {"c", "b"}), "b");
  EXPECT_EQ(choose_subprotocol({"a"}, {"A"}), "") << "letter by letter";
  EXPECT_EQ(choose_subprotocol({}, {"a"}), "");
  EXPECT_EQ(choose_subprotocol({"a"}, {}), "");
}

}  // namespace
}  // namespace holdfast::ws
