#include "ctl/control.h"

#include <fmt/format.h>

#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/units.h"
#include "ctl/unix_socket.h"

namespace holdfast::ctl {
namespace {

std::string_view word_of(const Options& options) {
  switch (options.verb) {
    case Verb::reload:
      return "reload";
    case Verb::upgrade:
      return "upgrade";
    case Verb::stop:
      return options.graceful ? "quit" : "stop";
    default:
      return "reopen-logs";
  }
}

std::vector<std::string_view> lines_of(std::string_view bytes) {
  std::vector<std::string_view> lines;
  while (!bytes.empty()) {
    size_t end = std::min(bytes.find('\n'), bytes.size());
    lines.push_back(bytes.substr(0, end));
    bytes.remove_prefix(std::min(end + 1, bytes.size()));
  }
  return lines;
}

// "ok TEXT" or "ok": the text, else nothing.
std::optional<std::string_view> after_word(std::string_view line, std::string_view word) {
  if (line == word) return std::string_view{};
  if (!line.starts_with(word) || line[word.size()] != ' ') return {};
  return line.substr(word.size() + 1);
}

// The answer for people: a refusal goes to stderr with its details, for they say why.
ExitCode tell(const ControlAnswer& answer) {
  std::string details;
  for (const std::string& detail : answer.details) details += printable(detail) + "\n";
  if (answer.ok) return print(printable(answer.text) + "\n" + details);
  if (!details.empty()) details.insert(0, "\n").pop_back();
  note(printable(answer.text) + details);
  return kFailure;
}

}  // namespace

Result<ControlAnswer> parse_control_answer(std::string_view bytes) {
  std::vector<std::string_view> lines = lines_of(bytes);
  if (lines.empty()) return Error{Errc::bad_input, 0, "the master closed without an answer"};
  ControlAnswer answer;
  std::optional<std::string_view> text = after_word(lines[0], "ok");
  answer.ok = text.has_value();
  if (!text) text = after_word(lines[0], "error");
  if (!text)
    return Error{Errc::bad_input, 0, "not an answer of the master: " + printable(lines[0])};
  answer.text = *text;
  answer.details.assign(lines.begin() + 1, lines.end());
  return answer;
}

Result<ControlAnswer> ask_master(const std::string& socket_path, std::string_view word,
                                 uint64_t silence_ms) {
  Result<UnixSocket> socket = UnixSocket::connect(socket_path, Deadline(kControlSilenceMs));
  if (!socket) return socket.error();
  Result<void> written = socket->write(std::string(word) + "\n", Deadline(kControlSilenceMs));
  if (!written) return written.error();
  std::string bytes;
  for (;;) {
    Result<bool> more = socket->read(bytes, Deadline(silence_ms));
    if (!more) return more.error();
    if (!*more) return parse_control_answer(bytes);
    if (bytes.size() > kMaxControlBytes)
      return Error{Errc::limit, 0, "the master's answer is too long"};
  }
}

std::string control_json(const ControlAnswer& answer) {
  Json json;
  json.begin_object().member("ok", answer.ok).member("text", answer.text);
  json.key("details").begin_array();
  for (const std::string& detail : answer.details) json.value(detail);
  json.end_array().end_object();
  return json.line();
}

ExitCode run_control(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  if (!segment->master_alive())
    return fail(options, {Errc::gone, 0, "the master is dead; nobody is there to be told"});
  uint64_t silence_ms = options.verb == Verb::upgrade ? kUpgradeSilenceMs : kControlSilenceMs;
  Result<ControlAnswer> answer =
      ask_master(socket_path(*segment, "control.sock"), word_of(options), silence_ms);
  if (!answer) return fail(options, answer.error());
  if (!options.json) return tell(*answer);
  ExitCode printed = print(control_json(*answer));
  return printed == kOk && !answer->ok ? kFailure : printed;
}

}  // namespace holdfast::ctl
