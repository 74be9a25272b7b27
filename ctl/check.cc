#include "ctl/check.h"

#include "ctl/instance.h"
#include "ctl/json.h"

namespace holdfast::ctl {

std::string problems_text(const std::string& file, const std::vector<conf::Problem>& problems) {
  if (problems.empty()) return file + ": ok\n";
  std::string out;
  for (const conf::Problem& problem : problems) out += problem.text() + "\n";
  return out;
}

std::string problems_json(const std::vector<conf::Problem>& problems) {
  Json json;
  json.begin_object().member("ok", problems.empty()).key("problems").begin_array();
  for (const conf::Problem& p : problems) {
    json.begin_object().member("file", p.file).member("line", p.line).member("column", p.column);
    json.member("key", p.key).member("what", p.what).member("allowed", p.allowed).end_object();
  }
  json.end_array().end_object();
  return json.line();
}

ExitCode run_check(const Options& options) {
  const std::string& file = options.file.empty() ? options.config_file : options.file;
  conf::Loaded loaded = conf::load_file(file, conf::Machine::ours);
  ExitCode printed =
      print(options.json ? problems_json(loaded.problems) : problems_text(file, loaded.problems));
  return printed == kOk && !loaded ? kFailure : printed;
}

}  // namespace holdfast::ctl
