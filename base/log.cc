#include "base/log.h"

#include <fcntl.h>
#include <spdlog/sinks/basic_file_sink.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>

namespace holdfast {
namespace {

// The process's one sink: mutable and global because a log line must be possible anywhere, also before
// worker_main() or master_main() has built its objects.
struct Sink {
  LogSettings settings;
  std::string process_name = "start";
  std::shared_ptr<spdlog::logger> logger;
};
Sink& sink() {
  static Sink s;
  return s;
}

spdlog::level::level_enum spd(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return spdlog::level::trace;
    case LogLevel::debug:
      return spdlog::level::debug;
    case LogLevel::info:
      return spdlog::level::info;
    case LogLevel::warn:
      return spdlog::level::warn;
    case LogLevel::error:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

std::string_view level_name(LogLevel level) {
  switch (level) {
    case LogLevel::trace:
      return "trace";
    case LogLevel::debug:
      return "debug";
    case LogLevel::info:
      return "info";
    case LogLevel::warn:
      return "warn";
    case LogLevel::error:
      return "error";
  }
  return "info";
}

std::string json_escaped(std::string_view text) {
  std::string out;
  out.reserve(text.size() + 8);
  for (char c : text) {
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (static_cast<unsigned char>(c) < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", unsigned(c));
    } else {
      out += c;
    }
  }
  return out;
}

// Line breaks in a message (they may come from outside) must not forge a line of their own.
std::string one_line(std::string_view text) {
  std::string out(text);
  for (char& c : out)
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  return out;
}

// spdlog would make a missing folder, and hide that its name is wrong or its disk not mounted.
Result<void> check_folder(const std::string& target) {
  std::string folder = std::filesystem::path(target).parent_path();
  if (folder.empty() || access(folder.c_str(), F_OK) == 0) return {};
  return Error{Errc::io, errno, fmt::format("open log {}: folder {}", target, folder)};
}

Result<std::shared_ptr<spdlog::logger>> make_logger(const LogSettings& settings,
                                                    const std::string& name) {
  if (settings.target != "stderr") {
    auto there = check_folder(settings.target);
    if (!there) return std::move(there.error());
  }
  try {
    std::shared_ptr<spdlog::sinks::sink> to;
    if (settings.target == "stderr") {
      to = std::make_shared<spdlog::sinks::stderr_sink_st>();
    } else {
      to = std::make_shared<spdlog::sinks::basic_file_sink_st>(settings.target);
    }
    auto logger = std::make_shared<spdlog::logger>(name, std::move(to));
    logger->set_level(spd(settings.level));
    logger->flush_on(spdlog::level::trace);
    if (settings.json) {
      logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","process":"%n","pid":%P,%v})");
    } else {
      logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%n %P] %v");
    }
    return logger;
  } catch (const spdlog::spdlog_ex& e) {
    return Error{Errc::io, 0, fmt::format("open log {}: {}", settings.target, e.what())};
  }
}

Result<void> install(const LogSettings& settings, std::string_view name) {
  auto logger = make_logger(settings, std::string(name));
  if (!logger) return std::move(logger.error());
  sink().settings = settings;
  sink().process_name = name;
  sink().logger = *std::move(logger);
  return {};
}

spdlog::logger& current() {
  if (!sink().logger) {
    auto made = install({}, sink().process_name);
    (void)made;  // stderr cannot fail to open
  }
  return *sink().logger;
}

}  // namespace

Result<void> open_log(const LogSettings& settings, std::string_view process_name) {
  return install(settings, process_name);
}

Result<void> reopen_log() {
  return install(LogSettings(sink().settings), std::string(sink().process_name));
}

bool log_enabled(LogLevel level) {
  return current().should_log(spd(level));
}

void log_line(LogLevel level, std::string_view text) {
  // The level by our own name for it, as in the configuration: spdlog calls warn "warning".
  std::string line =
      sink().settings.json
          ? fmt::format(R"("level":"{}","message":"{}")", level_name(level), json_escaped(text))
          : fmt::format("{:<5} {}", level_name(level), one_line(text));
  current().log(spd(level), spdlog::string_view_t(line));
}

void log_aloud(std::string_view text) {
  log_line(LogLevel::error, text);
  if (sink().settings.target == "stderr") return;
  std::string line = one_line(text) + "\n";
  (void)std::fputs(line.c_str(), stderr);  // the log has it
}

}  // namespace holdfast
