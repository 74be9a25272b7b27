#include "base/log.h"

#include <spdlog/sinks/base_sink.h>
#include <spdlog/spdlog.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <memory>
#include <utility>

#include "base/log_guard.h"
#include "base/log_writer.h"

namespace holdfast {
namespace {

// One for the process, whichever log is opened: workers inherit what the master could open.
LogWriter& stderr_writer() {
  static LogWriter writer = LogWriter::to_stderr();
  return writer;
}

// spdlog makes the line, a LogWriter writes it.
class WriterSink : public spdlog::sinks::base_sink<spdlog::details::null_mutex> {
 public:
  WriterSink() : writer_(stderr_writer()) {}
  explicit WriterSink(LogWriter&& file)
      : own_(std::make_unique<LogWriter>(std::move(file))), writer_(*own_) {}
  bool dropped_last() const { return dropped_last_; }
  bool flush_rest() { return writer_.flush(); }

 protected:
  void sink_it_(const spdlog::details::log_msg& message) override {
    spdlog::memory_buf_t line;
    formatter_->format(message, line);
    dropped_last_ = !writer_.write({line.data(), line.size()});
  }
  void flush_() override {}

 private:
  std::unique_ptr<LogWriter> own_;
  LogWriter& writer_;
  bool dropped_last_ = false;
};

// The process's one sink: mutable and global because a log line must be possible anywhere, also before
// worker_main() or master_main() has built its objects.
struct Sink {
  LogSettings settings;
  std::string process_name = "start";
  std::shared_ptr<spdlog::logger> logger;
  std::shared_ptr<WriterSink> writer;
  uint64_t dropped = 0;  // lines, since log_catch_up() was last called
  uint64_t unsaid = 0;   // lines, since the log last said so
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

Result<std::shared_ptr<WriterSink>> make_writer(const LogSettings& settings) {
  if (settings.target == "stderr") return std::make_shared<WriterSink>();
  auto there = check_folder(settings.target);
  if (!there) return std::move(there.error());
  auto file = LogWriter::to_file(settings.target);
  if (!file) return std::move(file.error());
  return std::make_shared<WriterSink>(*std::move(file));
}

Result<void> install(const LogSettings& settings, std::string_view name) {
  auto writer = make_writer(settings);
  if (!writer) return std::move(writer.error());
  auto logger = std::make_shared<spdlog::logger>(std::string(name), *writer);
  logger->set_level(spd(settings.level));
  if (settings.json) {
    logger->set_pattern(R"({"time":"%Y-%m-%dT%H:%M:%S.%e%z","process":"%n","pid":%P,%v})");
  } else {
    logger->set_pattern("%Y-%m-%dT%H:%M:%S.%e [%n %P] %v");
  }
  sink().settings = settings;
  sink().process_name = name;
  sink().logger = std::move(logger);
  sink().writer = *std::move(writer);
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

namespace {

// False: dropped.
bool emit(LogLevel level, std::string_view text) {
  // The level by our own name for it, as in the configuration: spdlog calls warn "warning".
  std::string line =
      sink().settings.json
          ? fmt::format(R"("level":"{}","message":"{}")", level_name(level), json_escaped(text))
          : fmt::format("{:<5} {}", level_name(level), one_line(text));
  current().log(spd(level), spdlog::string_view_t(line));
  return !sink().writer->dropped_last();
}

// Before anything newer is written. False: that cannot be written either.
bool say_dropped() {
  uint64_t n = sink().unsaid;
  if (n == 0) return true;
  if (!emit(std::max(LogLevel::warn, sink().settings.level),
            fmt::format("{} log lines were dropped: nobody read them, or the disk was full", n)))
    return false;
  sink().unsaid = 0;
  return true;
}

ssize_t write_stderr(void*, const char* bytes, size_t size) {
  stderr_writer().write({bytes, size});
  return ssize_t(size);
}

}  // namespace

void log_line(LogLevel level, std::string_view text) {
  if (!log_enabled(level) || (say_dropped() && emit(level, text))) return;
  ++sink().dropped;
  ++sink().unsaid;
}

uint64_t log_catch_up() {
  if (!sink().writer) return 0;
  if (sink().writer->flush_rest()) say_dropped();
  return std::exchange(sink().dropped, 0);
}

void log_aloud(std::string_view text) {
  log_line(LogLevel::error, text);
  if (sink().settings.target == "stderr") return;
  stderr_writer().write(one_line(text) + "\n");  // the log has it
}

void guard_stderr() {
  cookie_io_functions_t calls{};
  calls.write = write_stderr;
  FILE* guarded = fopencookie(nullptr, "w", calls);
  if (guarded == nullptr) return;
  setvbuf(guarded, nullptr, _IOLBF, 4096);
  stderr = guarded;
}

}  // namespace holdfast
