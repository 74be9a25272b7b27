// ctl/command_line.h - which commands and options there are; with options.cc all that knows CLI11.
#pragma once

#include <CLI/CLI.hpp>
#include <optional>
#include <string>
#include <vector>

#include "ctl/options.h"

namespace holdfast::ctl {

// Declares commands one after the other. A parsed command line leaves its values in `options`,
// which must outlive this.
class CommandLine {
 public:
  explicit CommandLine(Options& options);
  CLI::App& app() { return app_; }
  std::vector<std::string_view> command_names() const;
  // Gives their final form to values that CLI11 cannot store in it. "", or the error.
  std::string finish();

 private:
  CLI::App* command(const char* name, const char* help, Verb verb);
  void declare_general();
  void declare_looks();
  void declare_lists();
  void declare_history();
  void declare_trace();
  void declare_sending();
  void declare_members();
  void declare_session_changes();
  void declare_control();
  void finish_trace();

  void add_ids(CLI::App* sub);
  void add_message(CLI::App* sub);
  void add_users(CLI::App* sub, const char* help);
  void add_channels(CLI::App* sub, const char* help);
  void add_exclude(CLI::App* sub);
  void add_key(CLI::App* sub);
  void add_limit(CLI::App* sub, const char* help);
  CLI::Option* add_interval(CLI::App* sub);

  Options& options_;
  // As they were given; finish() moves them on.
  std::optional<std::string> id_list_, name_, user_;
  std::string action_, subject_;
  std::vector<std::string> words_;
  CLI::App app_{"Looks at a running Holdfast and tells it what to do."};
};

}  // namespace holdfast::ctl
