// ctl/session.h - `holdfastctl session ID` and `data ID`: one session, from the directory and, for
// its channels and data, from the worker that holds it.
//
// The directory's part works while the worker hangs; then the rest is left out, which is reported.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/result.h"
#include "ctl/http_client.h"
#include "ctl/options.h"
#include "shm/segment.h"

namespace holdfast::ctl {

// As long as the workers have for a question, and a bit.
inline constexpr uint64_t kDetailTimeoutMs = 3'000;

// The part that only its worker knows.
struct SessionDetail {
  std::string listener;  // "" if it is not known
  std::vector<std::string> channels;
  std::vector<std::pair<std::string, std::string>> data;
};

// One session by its printed id. Errc::bad_input: no id. Errc::gone: no such session here.
Result<shm::SessionView> find_session(const shm::Segment& segment, const std::string& id);
// The rest of it. Errc::gone: it has ended. Any other: its worker has not answered.
Result<SessionDetail> ask_detail(const shm::SessionId& id, const Fetch& fetch);

// `detail` null: left out.
std::string session_text(const shm::SessionView& session, const SessionDetail* detail,
                         uint64_t wall_now_ms);
std::string session_line(const shm::SessionView& session, const SessionDetail* detail);

ExitCode run_session(const Options& options);
// `data ID` without an action.
ExitCode run_get_data(const Options& options);

}  // namespace holdfast::ctl
