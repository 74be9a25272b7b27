#include "ctl/trace.h"

#include <fmt/format.h>
#include <simdjson.h>
#include <time.h>

#include <algorithm>

#include "base/clock.h"
#include "ctl/ending.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/json_read.h"
#include "ctl/push_answer.h"
#include "ctl/units.h"
#include "ctl/unix_socket.h"
#include "wire/http/request_writer.h"

namespace holdfast::ctl {
namespace {

namespace dom = simdjson::dom;

constexpr uint64_t kLongMs = 1'000;  // a stream that lasted so long was a good one
constexpr unsigned kMaxShort = 5;    // others in a row
constexpr uint64_t kPauseMs = 200;   // before another try

std::string time_of_day(uint64_t wall_ms) {
  auto seconds = time_t(wall_ms / 1000);
  tm local{};
  char text[16];
  if (localtime_r(&seconds, &local) == nullptr) return "-";
  strftime(text, sizeof text, "%H:%M:%S", &local);
  return fmt::format("{}.{:03}", text, wall_ms % 1000);
}

std::string session_name(std::string_view id, bool known) {
  if (!known || id.size() < 8) return printable(id);
  return printable(fmt::format("{}..{}", id.substr(0, 4), id.substr(id.size() - 2)));
}

// How the reading of a stream ended.
struct Followed {
  enum class How : uint8_t { enough, lost, failed } how;
  Error error = {Errc::gone, 0, ""};
};

class Tracing {
 public:
  Tracing(const Options& options, std::string socket)
      : options_(options),
        socket_(std::move(socket)),
        end_ms_(options.duration_ms == 0 ? UINT64_MAX : monotonic_ms() + options.duration_ms) {}

  ExitCode run() {
    for (unsigned in_vain = 0;;) {
      uint64_t began_ms = monotonic_ms();
      Followed followed = follow();
      if (followed.how == Followed::How::enough) return kOk;
      if (followed.how == Followed::How::failed) return said_ ? kFailure : tell(followed.error);
      in_vain = monotonic_ms() - began_ms >= kLongMs ? 0 : in_vain + 1;
      if (in_vain == kMaxShort) return tell(followed.error);
      if (again() != kOk) return kFailure;
      if (ending_.wait(-1, std::min(kPauseMs, left_ms())) == Ending::Woke::ended) return kOk;
    }
  }

 private:
  uint64_t left_ms() const {
    uint64_t now = monotonic_ms();
    return end_ms_ <= now ? 0 : end_ms_ - now;
  }

  ExitCode tell(const Error& error) { return fail(options_, error); }

  // The stream was lost: lines may be missing.
  ExitCode again() {
    if (!options_.json) {
      note("the worker that fed this trace is gone; asking another, lines may be missing");
      return kOk;
    }
    Json json;
    json.begin_object().member("at_ms", wall_ms()).member("event", "interrupted").end_object();
    return print(json.line());
  }

  // One connection, from its beginning to its end.
  Followed follow() {
    Deadline connecting(kApiTimeoutMs);
    Result<UnixSocket> socket = UnixSocket::connect(socket_, connecting);
    if (!socket) return {Followed::How::failed, socket.error()};
    Result<void> asked =
        socket->write(make_request(trace_path(options_), "", KeepAlive::yes), connecting);
    if (!asked) return {Followed::How::lost, asked.error()};
    TraceReader reader;
    for (;;) {
      Ending::Woke woke = ending_.wait(socket->fd(), left_ms());
      if (woke != Ending::Woke::ready) return {Followed::How::enough};
      std::string bytes, lines;
      Result<bool> more = socket->read(bytes, Deadline(0));
      if (!more) return {Followed::How::lost, more.error()};
      Result<void> read = reader.feed(bytes, lines);
      if (!read) return {Followed::How::failed, read.error()};
      if (reader.status() > 200) return refused(*socket, reader);
      if (Followed shown = show(lines); shown.how == Followed::How::failed) return shown;
      if (!*more || reader.at_end())
        return {Followed::How::lost, Error{Errc::gone, 0, "the trace ended at once, every time"}};
    }
  }

  // An answer that is none of lines; the rest of it is read here.
  Followed refused(UnixSocket& socket, TraceReader& reader) {
    Deadline deadline(kApiTimeoutMs);
    while (!reader.at_end()) {
      std::string bytes, lines;
      Result<bool> more = socket.read(bytes, deadline);
      if (!more) return {Followed::How::failed, more.error()};
      Result<void> read = *more ? reader.feed(bytes, lines) : reader.end();
      if (!read) return {Followed::How::failed, read.error()};
    }
    HttpAnswer answer = reader.answer();
    Result<Outcome> outcome = judge_answer({options_}, answer.status, answer.body);
    if (!outcome) return {Followed::How::failed, outcome.error()};
    return {Followed::How::failed, Error{Errc::bad_input, 0, outcome->trouble}};
  }

  Followed show(const std::string& lines) {
    std::string out;
    for (size_t at = 0; at < lines.size();) {
      size_t end = lines.find('\n', at);
      std::string_view line(lines.data() + at, end - at);
      at = end + 1;
      Result<std::string> text = trace_text(line, options_.subject == Subject::session);
      if (!text) return {Followed::How::failed, text.error()};
      out += options_.json ? std::string(line) + "\n" : *text;
    }
    if (out.empty() || print(out) == kOk) return {Followed::How::enough};
    said_ = true;
    return {Followed::How::failed};
  }

  const Options& options_;
  std::string socket_;
  uint64_t end_ms_;
  Ending ending_;
  bool said_ = false;  // what failed
};

}  // namespace

std::string trace_path(const Options& options) {
  switch (options.subject) {
    case Subject::session:
      return "/v1/trace?session=" + http::percent_encode(options.sessions.front());
    case Subject::user:
      return "/v1/trace?user=" + http::percent_encode(options.users.front());
    case Subject::channel:
      break;
  }
  return "/v1/trace?channel=" + http::percent_encode(options.channels.front());
}

Result<std::string> trace_text(std::string_view line, bool session_known) {
  dom::parser parser;
  dom::object event;
  if (parser.parse(line.data(), line.size()).get(event) != simdjson::SUCCESS)
    return Error{Errc::bad_input, 0, "a line of the trace is not JSON"};
  std::string out = fmt::format("{} w{} {:<9}", time_of_day(number_of(event, "at_ms")),
                                number_of(event, "worker"), printable(text_of(event, "event")));
  if (has(event, "session")) out += " " + session_name(text_of(event, "session"), session_known);
  if (has(event, "user")) out += fmt::format(" ({})", printable(text_of(event, "user")));
  if (has(event, "channel")) out += " #" + printable(text_of(event, "channel"));
  if (has(event, "bytes")) out += " " + human_bytes(number_of(event, "bytes"));
  if (has(event, "lines"))
    out += fmt::format(" {} lines were left out", human_count(number_of(event, "lines")));
  if (has(event, "detail")) out += "  " + printable(text_of(event, "detail"));
  out.erase(out.find_last_not_of(' ') + 1);
  return out + "\n";
}

Result<void> TraceReader::feed(std::string_view bytes, std::string& lines) {
  Result<bool> whole = reader_.feed(bytes);
  if (!whole) return whole.error();
  at_end_ = *whole;
  if (status() != 200) return {};
  if (!reader_.in_chunks())
    return Error{Errc::bad_input, 0, "the answer is not one of the API: no trace"};
  tail_ += reader_.take_body();
  size_t end = tail_.rfind('\n');
  if (end != std::string::npos) {
    lines += tail_.substr(0, end + 1);
    tail_.erase(0, end + 1);
  }
  if (tail_.size() > kMaxTraceLine) return Error{Errc::limit, 0, "a line of the trace is too long"};
  return {};
}

Result<void> TraceReader::end() {
  Result<bool> whole = reader_.end();
  if (!whole) return whole.error();
  at_end_ = *whole;
  return {};
}

ExitCode run_trace(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  return Tracing(options, api_socket(*segment)).run();
}

}  // namespace holdfast::ctl
