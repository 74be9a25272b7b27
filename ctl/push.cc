#include "ctl/push.h"

#include <fmt/format.h>
#include <openssl/evp.h>
#include <simdjson.h>
#include <unistd.h>

#include <cerrno>

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

std::string percent_encoded(std::string_view text) {
  std::string out;
  for (char c : text) {
    bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                 c == '-' || c == '.' || c == '_' || c == '~';
    out += plain ? std::string(1, c) : fmt::format("%{:02X}", static_cast<unsigned char>(c));
  }
  return out;
}

void write_strings(Json& json, std::string_view key, const std::vector<std::string>& strings) {
  json.key(key).begin_array();
  for (const std::string& text : strings) json.value(text);
  json.end_array();
}

void write_data(Json& json, const Options& options, const std::string& data) {
  if (options.binary)
    json.member("data_base64", base64(data)).member("binary", true);
  else
    json.member("data", data);
}

Result<std::string> read_stdin() {
  std::string data;
  char chunk[16 * 1024];
  for (;;) {
    ssize_t got = ::read(STDIN_FILENO, chunk, sizeof chunk);
    if (got == 0) return data;
    if (got > 0) data.append(chunk, size_t(got));
    if (got == -1 && errno != EINTR) return Error{Errc::io, errno, "read stdin"};
    if (data.size() > kMaxStdinBytes)
      return Error{Errc::limit, 0, fmt::format("stdin has more than {} bytes", kMaxStdinBytes)};
  }
}

bool carries_data(Verb verb) {
  return verb == Verb::send || verb == Verb::publish;
}

Result<std::string> data_of(const Options& options) {
  if (!carries_data(options.verb)) return std::string{};
  Result<std::string> data = options.data == "-" ? read_stdin() : Result<std::string>(options.data);
  if (!data) return data;
  if (Result<void> fit = check_data(options, *data); !fit) return fit.error();
  return data;
}

}  // namespace

std::string api_path(const Options& options) {
  switch (options.verb) {
    case Verb::send:
      return "/v1/send";
    case Verb::publish:
      return "/v1/publish";
    case Verb::kick:
      return "/v1/kick";
    case Verb::join:
      return "/v1/join";
    case Verb::leave:
      return "/v1/leave";
    default:
      break;
  }
  std::string path = fmt::format("/v1/channels?limit={}", options.limit);
  if (!options.prefix.empty()) path += "&prefix=" + percent_encoded(options.prefix);
  return path;
}

std::string api_body(const Options& options, const std::string& data) {
  if (options.verb == Verb::channels) return "";
  Json json;
  json.begin_object();
  if (!options.sessions.empty()) write_strings(json, "sessions", options.sessions);
  if (!options.channel.empty()) write_strings(json, "channels", {options.channel});
  if (carries_data(options.verb)) write_data(json, options, data);
  if (options.code) json.member("code", uint64_t{*options.code});
  if (!options.reason.empty()) json.member("reason", options.reason);
  json.end_object();
  return json.text();
}

Result<void> check_data(const Options& options, const std::string& data) {
  if (options.binary || simdjson::validate_utf8(data)) return {};
  return Error{Errc::bad_input, 0, "the message is not UTF-8; --binary sends any bytes"};
}

ExitCode run_push(const Options& options) {
  Result<shm::Segment> segment = find_instance(options);
  if (!segment) return fail_to_find(segment.error());
  Result<std::string> data = data_of(options);
  if (!data) return fail(data.error());
  Result<HttpAnswer> answer =
      call_api(socket_path(*segment, "api.sock"), api_path(options), api_body(options, *data));
  if (!answer) return fail(answer.error());
  Result<Outcome> outcome = judge_answer(options.verb, answer->status, answer->body);
  if (!outcome) return fail(outcome.error());
  if (!outcome->trouble.empty()) fmt::print(stderr, "holdfastctl: {}\n", outcome->trouble);
  ExitCode printed = print(options.json ? outcome->json : outcome->text);
  return printed == kOk ? outcome->code : printed;
}

}  // namespace holdfast::ctl
