#include "ctl/push.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <openssl/evp.h>
#include <simdjson.h>
#include <unistd.h>

#include <cerrno>

#include "base/fd.h"
#include "ctl/http_client.h"
#include "ctl/instance.h"
#include "ctl/json.h"
#include "ctl/push_answer.h"

namespace holdfast::ctl {
namespace {

std::string base64(const std::string& bytes) {
  std::string out((bytes.size() + 2) / 3 * 4 + 1, '\0');  // EVP_EncodeBlock ends it with NUL
  int size =
      EVP_EncodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                      reinterpret_cast<const unsigned char*>(bytes.data()), int(bytes.size()));
  out.resize(size_t(size));
  return out;
}

void write_strings(Json& json, std::string_view key, const std::vector<std::string>& strings) {
  if (strings.empty()) return;
  json.key(key).begin_array();
  for (const std::string& text : strings) json.value(text);
  json.end_array();
}

bool carries_message(Verb verb) {
  return verb == Verb::send || verb == Verb::send_user || verb == Verb::send_all ||
         verb == Verb::publish;
}

void write_message(Json& json, const Options& options, const std::string& message) {
  if (options.binary)
    json.member("data_base64", base64(message)).member("binary", true);
  else
    json.member("data", message);
}

void write_pairs(Json& json, const Options& options) {
  json.key(options.action == DataAction::set ? "set" : "merge").begin_object();
  for (const auto& [key, value] : options.pairs) json.member(key, value);
  json.end_object();
}

// Of a call that names one session, and perhaps a user.
void write_one(Json& json, const Options& options) {
  json.member("session", options.sessions.front());
  if (!options.users.empty()) json.member("user", options.users.front());
  if (options.verb == Verb::data) write_pairs(json, options);
}

Result<std::string> read_all(int fd, const std::string& name) {
  std::string data;
  char chunk[16 * 1024];
  for (;;) {
    ssize_t got = ::read(fd, chunk, sizeof chunk);
    if (got == 0) return data;
    if (got > 0) data.append(chunk, size_t(got));
    if (got == -1 && errno != EINTR) return Error{Errc::io, errno, "read " + name};
    if (data.size() > kMaxInputBytes)
      return Error{Errc::limit, 0, fmt::format("{} has more than {} bytes", name, kMaxInputBytes)};
  }
}

Result<std::string> read_input(const std::string& file) {
  if (file == "-") return read_all(STDIN_FILENO, "stdin");
  UniqueFd fd(::open(file.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error{Errc::io, errno, "open " + file};
  return read_all(fd.get(), file);
}

Result<std::string> body_of(const Options& options) {
  if (options.verb == Verb::batch) {
    Result<std::string> body = read_input(options.file);
    if (body && body->empty()) return Error{Errc::bad_input, 0, options.file + " is empty"};
    return body;
  }
  if (!carries_message(options.verb)) return api_body(options, "");
  Result<std::string> message =
      options.message == "-" ? read_input("-") : Result<std::string>(options.message);
  if (!message) return message;
  if (Result<void> fit = check_message(options, *message); !fit) return fit.error();
  return api_body(options, *message);
}

}  // namespace

std::string_view api_path(Verb verb) {
  switch (verb) {
    case Verb::send:
      return "/v1/send";
    case Verb::send_user:
      return "/v1/send-user";
    case Verb::send_all:
      return "/v1/send-all";
    case Verb::publish:
      return "/v1/publish";
    case Verb::join:
      return "/v1/join";
    case Verb::leave:
      return "/v1/leave";
    case Verb::bind:
      return "/v1/bind";
    case Verb::unbind:
      return "/v1/unbind";
    case Verb::data:
      return "/v1/data";
    case Verb::kick:
      return "/v1/kick";
    case Verb::batch:
      return "/v1/batch";
    default:
      return "";
  }
}

std::string api_body(const Options& options, const std::string& message) {
  Verb verb = options.verb;
  Json json;
  json.begin_object();
  if (verb == Verb::bind || verb == Verb::unbind || verb == Verb::data) {
    write_one(json, options);
  } else {
    write_strings(json, "sessions", options.sessions);
    write_strings(json, "users", options.users);
    write_strings(json, "channels", options.channels);
    write_strings(json, "exclude", options.exclude);
  }
  if (carries_message(verb)) write_message(json, options, message);
  if (options.code) json.member("code", uint64_t{*options.code});
  if (!options.reason.empty()) json.member("reason", options.reason);
  if (!options.key.empty()) json.member("id", options.key);
  json.end_object();
  return json.text();
}

Result<void> check_message(const Options& options, const std::string& message) {
  if (options.binary || simdjson::validate_utf8(message)) return {};
  return Error{Errc::bad_input, 0, "the message is not UTF-8; --binary sends any bytes"};
}

ExitCode run_push(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(options, segment.error());
  Result<std::string> body = body_of(options);
  if (!body) return fail(options, body.error());
  Result<HttpAnswer> answer = call_api(api_socket(*segment), api_path(options.verb), *body);
  if (!answer) return fail(options, answer.error());
  Result<Outcome> outcome = judge_answer({options, body->size()}, answer->status, answer->body);
  if (!outcome) return fail(options, outcome.error());
  if (!options.json && !outcome->trouble.empty()) note(outcome->trouble);
  ExitCode printed = print(options.json ? outcome->json : outcome->text);
  return printed == kOk ? outcome->code : printed;
}

}  // namespace holdfast::ctl
