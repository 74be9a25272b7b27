// Servers that have a name: unknown, found, moved, several, gone (worker/backends/fcgi/pool_names.cc).
#include <optional>

#include "conf/server_address.h"
#include "tests/unit/backends/fcgi/pool_fixture.h"

namespace holdfast::fcgi {
namespace {

using Kind = FakeServer::Kind;

class FakeLookups final : public Lookups {
 public:
  void ask(const std::string& text, Asker& asker, size_t which) override {
    asked.push_back(text);
    asker_ = &asker;
    which_ = which;
  }
  void forget(const Asker&) override { ++forgotten; }
  void answer(std::vector<conf::Address> found) { asker_->on_addresses(which_, std::move(found)); }

  std::vector<std::string> asked;
  int forgotten = 0;

 private:
  Asker* asker_ = nullptr;
  size_t which_ = 0;
};

class FcgiPoolNames : public PoolTest {
 protected:
  // A server that the pool knows by its address only after a look-up.
  FakeServer& add_unnamed(Kind kind) {
    servers_.push_back(std::make_unique<FakeServer>(loop_, kind));
    return *servers_.back();
  }
  void start_named() {
    backend_.servers.push_back({.address = *conf::parse_server_address("php:9000")});
    backend_.name = "app";
    pool_ = std::make_unique<Pool>(loop_, backend_, Pool::Share{4, 100}, *stats_,
                                   [this] { return others_waiting_; });
    pool_->look_up_with(lookups_);
    pool_->tick(clock_ms_);
  }
  ~FcgiPoolNames() override { pool_.reset(); }

  FakeLookups lookups_;
};

TEST_F(FcgiPoolNames, ARequestWaitsForTheNameAsForAServerThatStarts) {
  FakeServer& server = add_unnamed(Kind::tcp);
  start_named();
  EXPECT_EQ(lookups_.asked, std::vector<std::string>{"php:9000"});
  submit(1);
  EXPECT_TRUE(inbox_.answers.empty());
  lookups_.answer({server.address()});
  pass(100);
  FakeConnection connection = server.accept();
  serve(connection, 1);
  EXPECT_EQ(lookups_.asked.size(), 1u);
}

TEST_F(FcgiPoolNames, WithoutAnAddressThereIsNoServerAfterConnectTimeout) {
  start_named();
  lookups_.answer({});
  submit(1);
  pass(backend_.connect_timeout_ms);
  EXPECT_EQ(answer_to(1).outcome, Outcome::no_server);
}

TEST_F(FcgiPoolNames, AreLookedUpAgainByAgeAndOnFailure) {
  backend_.connect_timeout_ms = 600'000;
  FakeServer& server = add_unnamed(Kind::tcp);
  start_named();
  lookups_.answer({server.address()});
  pass(backend_.resolve_every_ms - 1);
  EXPECT_EQ(lookups_.asked.size(), 1u);
  pass(1);
  EXPECT_EQ(lookups_.asked.size(), 2u) << "by age";
  lookups_.answer({server.address()});
  pass(1'000);
  server.stop();
  submit(1);
  turn_until(loop_, [&] { return stats_->backend_connect_errors.get() > 0; });
  pass(1);
  EXPECT_EQ(lookups_.asked.size(), 3u) << "on failure";
  FakeServer& moved = add_unnamed(Kind::tcp);
  lookups_.answer({moved.address()});
  turn_until(loop_, [&] {  // the attempt under way fails first
    pass(1);
    return !moved.nobody_waits();
  });
  FakeConnection connection = moved.accept();
  serve(connection, 1);
}

TEST_F(FcgiPoolNames, WhatWasFoundStaysWhenNothingIsFoundAgain) {
  FakeServer& server = add_unnamed(Kind::tcp);
  start_named();
  lookups_.answer({server.address()});
  pass(backend_.resolve_every_ms);
  lookups_.answer({});
  submit(1);
  FakeConnection connection = server.accept();
  serve(connection, 1);
}

TEST_F(FcgiPoolNames, AllAddressesAreUsedAndDeadOnesPassedOver) {
  FakeServer& one = add_unnamed(Kind::tcp);
  FakeServer& two = add_unnamed(Kind::tcp);
  FakeServer& three = add_unnamed(Kind::tcp);
  start_named();
  lookups_.answer({one.address(), two.address(), three.address()});
  one.stop();
  two.stop();
  submit(1);
  FakeConnection connection = three.accept();
  serve(connection, 1);
  one.start();
  pass(6'000);  // longer than any back-off
  submit(2);
  submit(3);
  turn_until(loop_, [&] { return !one.nobody_waits(); });
  EXPECT_FALSE(one.nobody_waits());
}

TEST_F(FcgiPoolNames, AnAddressThatIsGoneGetsNoMoreRequests) {
  FakeServer& one = add_unnamed(Kind::tcp);
  FakeServer& two = add_unnamed(Kind::tcp);
  start_named();
  lookups_.answer({one.address(), two.address()});
  for (int n = 0; n < 40; ++n) {  // places are used again
    pass(backend_.resolve_every_ms);
    lookups_.answer({n % 2 == 0 ? one.address() : two.address()});
  }
  for (uint64_t ticket : {1, 2, 3}) {
    submit(ticket);
    FakeConnection connection = two.accept();
    serve(connection, ticket);
    connection.close();
  }
  EXPECT_TRUE(one.nobody_waits());
}

TEST_F(FcgiPoolNames, AreForgottenWithThePool) {
  start_named();
  pool_.reset();
  EXPECT_EQ(lookups_.forgotten, 1);
}

}  // namespace
}  // namespace holdfast::fcgi
