// tests/unit/api/api_harness.h - the API with a router that only writes down what it is told.
#pragma once

#include <fmt/format.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <deque>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "worker/api/http/exchange.h"
#include "worker/api/http/routes.h"

namespace holdfast::api {

class FakeRouter : public Router {
 public:
  void execute(const Command& command, CommandDone done) override {
    seen.push_back(command);
    if (hold)
      held.push_back(std::move(done));
    else
      done(CommandResult(next_result));
  }
  // Answers the oldest command that is held.
  void release(CommandResult result) {
    ASSERT_FALSE(held.empty());
    CommandDone done = std::move(held.front());
    held.pop_front();
    done(std::move(result));
  }

  std::vector<Command> seen;
  CommandResult next_result;
  bool hold = false;
  std::deque<CommandDone> held;
};

// Collects the answers in the order they are given.
class FakeDesk : public Reply::Desk {
 public:
  void on_reply(uint64_t, uint64_t, BufferRef bytes) override {
    replies.emplace_back(bytes.bytes());
  }
  std::vector<std::string> replies;
};

class FakeWire : public Wire {
 public:
  void push(BufferRef bytes, Urgency) override { pushed += bytes.bytes(); }
  size_t unsent() const override { return backlog; }
  void abort() override { aborted = true; }

  std::string pushed;
  size_t backlog = 0;
  bool aborted = false;
};

struct HttpAnswer {
  int status = 0;
  std::string head;
  std::string body;
  bool has(std::string_view line) const {
    return head.find(fmt::format("\r\n{}\r\n", line)) != std::string::npos;
  }
};

inline HttpAnswer parse_answer(const std::string& response) {
  size_t end = response.find("\r\n\r\n");
  if (!response.starts_with("HTTP/1.1 ") || end == std::string::npos) {
    ADD_FAILURE() << "no HTTP answer: " << response;
    return {};
  }
  return {std::stoi(response.substr(9, 3)), response.substr(0, end + 2), response.substr(end + 4)};
}

inline std::string error_code(const HttpAnswer& answer) {
  constexpr std::string_view kStart = R"({"error":{"code":")";
  if (!answer.body.starts_with(kStart)) return "no error: " + answer.body;
  size_t end = answer.body.find('"', kStart.size());
  return answer.body.substr(kStart.size(), end - kStart.size());
}

// A segment of its own for each test, two slots; the API is that of slot 1.
class ApiTest : public testing::Test {
 protected:
  static constexpr size_t kMaxMessage = 1000;

  // `keys`: how many idempotency keys it can keep.
  explicit ApiTest(uint32_t keys = 64) : segment(make_segment(keys)) {
    segment.slot(1).state.store(shm::SlotState::serving);
    segment.slot(1).pid.store(uint32_t(getpid()));
    config.limits.max_message_size = kMaxMessage;
    context = {&config, &api, &segment, 1, &router, &segment.stats(1), &draining};
  }

  static shm::Segment make_segment(uint32_t keys) {
    static unsigned number = 0;
    shm::SegmentIdentity identity{
        .instance = fmt::format("api-test-{}-{}", getpid(), ++number),
        .runtime_dir = "/nowhere",
        .node_id = 7,
    };
    shm::Capacities capacities{.max_workers = 2,
                               .max_sessions = 16,
                               .filter_buckets = 64,
                               .mailbox_bytes = 64 * 1024,
                               .receipts = keys};
    auto made = shm::Segment::create(identity, capacities);
    if (!made) throw std::runtime_error(made.error().text());
    return *std::move(made);
  }

  // Every answer given so far is in `replies`.
  Behind ask(http::Request request) { return handle(caller, request, Reply(desk, 1, ++asked)); }
  HttpAnswer answer_to(http::Request request) {
    size_t before = replies.size();
    ask(std::move(request));
    if (replies.size() != before + 1) {
      ADD_FAILURE() << replies.size() - before << " answers";
      return {};
    }
    return parse_answer(replies.back());
  }
  HttpAnswer post(std::string target, std::string body) {
    return answer_to({.method = "POST", .target = std::move(target), .body = std::move(body)});
  }
  HttpAnswer get(std::string target) {
    return answer_to({.method = "GET", .target = std::move(target)});
  }

  conf::Config config;
  conf::Api api;
  shm::Segment segment;
  FakeRouter router;
  bool draining = false;
  ApiContext context{};
  FakeWire wire;
  Caller caller{.context = context, .wire = wire};
  FakeDesk desk;
  uint64_t asked = 0;
  std::vector<std::string>& replies = desk.replies;
};

}  // namespace holdfast::api
