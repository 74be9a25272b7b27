#include "ctl/instance.h"

#include <fmt/format.h>
#include <string.h>

#include <cerrno>
#include <cstdio>

#include "conf/load.h"
#include "ctl/json.h"

namespace holdfast::ctl {

Result<std::string> instance_name(const Options& options) {
  if (options.config_file.empty()) return options.instance;
  conf::Loaded loaded = conf::load_file(options.config_file);
  if (loaded) return loaded.config.server.instance;
  std::string what = "the configuration does not tell the instance (-i NAME does without it)";
  for (const conf::Problem& problem : loaded.problems) what += "\n" + problem.text();
  return Error{Errc::config, 0, std::move(what)};
}

Result<shm::Segment> find_instance(const Options& options) {
  Result<std::string> name = instance_name(options);
  if (!name) return name.error();
  return shm::Segment::attach(*name);
}

std::string field_text(const char* field, size_t size) {
  return {field, strnlen(field, size)};
}

std::string socket_path(const shm::Segment& segment, const std::string& name) {
  const shm::Header& header = segment.header();
  return field_text(header.runtime_dir, sizeof header.runtime_dir) + "/" + name;
}

std::string api_socket(const shm::Segment& segment) {
  return socket_path(segment, "api.sock");
}

std::string_view code_of(const Error& error) {
  switch (error.code) {
    case Errc::io:
      return "io";
    case Errc::bad_input:
      return "bad_input";
    case Errc::limit:
      return "limit";
    case Errc::gone:
      return "gone";
    case Errc::busy:
      return "busy";
    case Errc::config:
      return "config";
    case Errc::incompatible:
      return "incompatible";
  }
  return "failed";
}

std::string error_json(std::string_view code, std::string_view message) {
  Json json;
  json.begin_object().key("error").begin_object();
  json.member("code", code).member("message", message).end_object().end_object();
  return json.line();
}

namespace {

void tell(const Options& options, std::string_view code, const std::string& what) {
  if (options.json)
    (void)print(error_json(code, what));  // tells its own failure, and ours is none the less
  else
    note(what);
}

}  // namespace

ExitCode fail(const Options& options, const Error& error) {
  tell(options, code_of(error), error.text());
  return kFailure;
}

ExitCode fail_to_find(const Options& options, const Error& error) {
  if (error.code != Errc::gone) return fail(options, error);
  tell(options, "no_instance", error.text());
  return kNoInstance;
}

void note(std::string_view text) {
  std::string line = fmt::format("holdfastctl: {}\n", text);
  (void)std::fwrite(line.data(), 1, line.size(), stderr);  // nobody is left to be told
}

ExitCode print(std::string_view text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return kOk;
  note(Error{Errc::io, errno, "write to stdout"}.text());
  return kFailure;
}

}  // namespace holdfast::ctl
