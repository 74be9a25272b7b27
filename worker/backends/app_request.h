// worker/backends/app_request.h - a request to an application and its answer, whatever carries them.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace holdfast {

struct Session;

// The numbers travel in a handover.
enum class AppEvent : uint8_t { message = 0, connect = 1, close = 2, subscribe = 3 };

enum class AppOutcome : uint8_t {
  answered,
  overloaded,
  no_server,
  timed_out,
  lost,
  too_large,
  error_page,  // not the application's answer
  encoded      // with a Content-Encoding that cannot be undone
};

// For a log.
std::string_view outcome_text(AppOutcome outcome);

struct AppAnswer {
  AppOutcome outcome = AppOutcome::lost;
  int status = 0;  // as of HTTP; 0 unless answered or error_page
  // As sent; the status is none of them.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string body;
  // False: certainly no server process has run the request, or will.
  bool may_have_run = false;
  // The first of that name, in whatever case, or "".
  std::string_view header(std::string_view name) const;
};

// The party that waits for an answer. Alive until it gets it.
class AppCaller {
 public:
  // May submit further requests, but does not destroy the carrier.
  virtual void on_answer(uint64_t ticket, AppAnswer&& answer) = 0;

 protected:
  ~AppCaller() = default;
};

struct AppRequest {
  const Session& session;
  const std::string& facts;  // AppCarrier::session_facts()
  AppEvent event;
  bool binary;  // of a message
  std::string body;
  std::string_view channel;  // of subscribe, valid during submit()
  AppCaller* caller;         // gets the answer
  uint64_t ticket;           // the caller's own name for it
};

}  // namespace holdfast
