#include "ctl/options.h"

#include <fmt/format.h>

#include <charconv>
#include <span>
#include <sstream>

#include "conf/report.h"
#include "conf/units.h"
#include "ctl/command_line.h"
#include "ctl/instance.h"

namespace holdfast::ctl {
namespace {

// CLI11 forgets what was found where a command should stand; it is the first word it left over.
std::string unknown_command(CommandLine& line) {
  if (!line.app().get_subcommands().empty()) return "";
  for (const std::string& word : line.app().remaining())
    if (!word.starts_with('-'))
      return fmt::format("no command is called \"{}\"{}", word,
                         conf::did_you_mean(word, line.command_names()));
  return "";
}

// Did the command line that could not be read ask for JSON?
bool asks_for_json(int argc, const char* const* argv) {
  for (int i = 1; i < argc && std::string_view(argv[i]) != "--"; ++i)
    if (std::string_view(argv[i]) == "--json") return true;
  return false;
}

// CLI11 takes the brackets off a word "[...]" where several may stand, so that what is stored would
// not be what was said. "" where there is none.
std::string bracketed(const Options& options, int argc, const char* const* argv) {
  if (options.verb != Verb::data) return "";
  for (std::string_view word : std::span(argv, size_t(argc)))
    if (word.starts_with('[') && word.ends_with(']'))
      return fmt::format("data: \"{}\": a word in brackets cannot be KEY=VALUE", word);
  return "";
}

ExitCode usage_error(CommandLine& line, const std::string& what, bool json) {
  if (json) {
    (void)print(error_json("usage", what));
    return kUsage;
  }
  const std::vector<CLI::App*> chosen = line.app().get_subcommands();
  std::string name = chosen.empty() ? "" : " " + chosen.front()->get_name();
  note(fmt::format("{}\n`holdfastctl{} --help` shows what can be said", what, name));
  return kUsage;
}

}  // namespace

std::variant<Options, ExitCode> parse_options(int argc, const char* const* argv) {
  Options options;
  CommandLine line(options);
  try {
    line.app().parse(argc, argv);
  } catch (const CLI::ParseError& error) {
    if (error.get_exit_code() == 0) {  // help or version
      std::ostringstream out, err;
      line.app().exit(error, out, err);
      return print(out.str());
    }
    std::string unknown = unknown_command(line);
    return usage_error(line, unknown.empty() ? error.what() : unknown, asks_for_json(argc, argv));
  }
  std::string why = line.finish();
  if (why.empty()) why = bracketed(options, argc, argv);
  if (!why.empty()) return usage_error(line, why, options.json);
  return options;
}

std::optional<uint64_t> parse_interval(std::string_view text) {
  if (conf::Quantity quantity = conf::parse_duration(text)) return quantity.value;
  double seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error != std::errc{} || end != text.data() + text.size()) return {};
  if (!(seconds >= 0 && seconds <= 1e6)) return {};
  return uint64_t(seconds * 1000);
}

}  // namespace holdfast::ctl
