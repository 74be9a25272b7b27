#include "ctl/instance.h"

#include <fmt/format.h>
#include <string.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "conf/load.h"

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

ExitCode fail(const Error& error) {
  fmt::print(stderr, "holdfastctl: {}\n", error.text());
  return kFailure;
}

ExitCode fail_to_find(const Error& error) {
  ExitCode code = fail(error);
  return error.code == Errc::gone ? kNoInstance : code;
}

ExitCode print(const std::string& text) {
  errno = 0;
  if (std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0)
    return kOk;
  return fail({Errc::io, errno, "write to stdout"});
}

bool colour_wanted() {
  const char* term = std::getenv("TERM");
  return isatty(STDOUT_FILENO) == 1 && std::getenv("NO_COLOR") == nullptr && term != nullptr &&
         std::string_view(term) != "dumb";
}

}  // namespace holdfast::ctl
