#include "bench/load/accounting.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <filesystem>
#include <map>
#include <set>

#include "base/fd.h"

namespace holdfast::bench {
namespace {

Result<std::string> read_file(const std::string& path) {
  UniqueFd fd(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd) return Error{errno == ENOENT ? Errc::gone : Errc::io, errno, "open " + path};
  std::string text;
  char chunk[4096];
  ssize_t got;
  while ((got = read(fd.get(), chunk, sizeof chunk)) > 0) text.append(chunk, size_t(got));
  // ESRCH: the process ended while its file was open.
  if (got == -1) return Error{errno == ESRCH ? Errc::gone : Errc::io, errno, "read " + path};
  return text;
}

bool to_number(std::string_view text, uint64_t* number) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), *number);
  return error == std::errc{} && end != text.data();
}

std::map<pid_t, ProcStat> all_processes() {
  std::map<pid_t, ProcStat> all;
  std::error_code ignored;  // processes come and go while we look
  for (const auto& entry : std::filesystem::directory_iterator("/proc", ignored)) {
    uint64_t pid = 0;
    std::string name = entry.path().filename();
    if (!to_number(name, &pid)) continue;
    Result<std::string> text = read_file(fmt::format("/proc/{}/stat", pid));
    ProcStat stat;
    if (text && parse_proc_stat(*text, &stat)) all[pid_t(pid)] = stat;
  }
  return all;
}

std::set<pid_t> tree_of(pid_t root, const std::map<pid_t, ProcStat>& all) {
  std::set<pid_t> tree{root};
  for (bool grown = true; grown;) {
    grown = false;
    for (const auto& [pid, stat] : all)
      if (tree.contains(stat.parent)) grown |= tree.insert(pid).second;
  }
  return tree;
}

}  // namespace

// Field 2 is a name in parentheses that may hold anything; the rest are numbers after the last ')'.
bool parse_proc_stat(std::string_view line, ProcStat* stat) {
  size_t at = line.rfind(')');
  if (at == std::string_view::npos) return false;
  std::string_view rest = line.substr(at + 1);
  uint64_t sum = 0, user = 0;
  for (int field = 3; field <= 17; ++field) {
    size_t begin = rest.find_first_not_of(' ');
    if (begin == std::string_view::npos) return false;
    rest.remove_prefix(begin);
    std::string_view word = rest.substr(0, rest.find(' '));
    rest.remove_prefix(word.size());
    uint64_t number = 0;
    if (field == 4 || field >= 14) {
      if (!to_number(word, &number)) return false;
      if (field == 4) stat->parent = pid_t(number);
      if (field >= 14) sum += number;
      if (field == 14 || field == 16) user += number;
    }
  }
  stat->cpu_ticks = sum;
  stat->user_ticks = user;
  return true;
}

uint64_t parse_rollup(std::string_view text, std::string_view name) {
  size_t at = text.find(fmt::format("\n{}:", name));
  if (at == std::string_view::npos) return 0;
  std::string_view rest = text.substr(at + name.size() + 2);
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  uint64_t kib = 0;
  return to_number(rest, &kib) ? kib * 1024 : 0;
}

Result<Usage> usage_of_tree(pid_t root) {
  std::map<pid_t, ProcStat> all = all_processes();
  if (!all.contains(root)) return Error{Errc::gone, 0, fmt::format("no process {}", root)};
  Usage usage;
  for (pid_t pid : tree_of(root, all)) {
    Result<std::string> memory = read_file(fmt::format("/proc/{}/smaps_rollup", pid));
    if (!memory && memory.error().code == Errc::gone) continue;
    if (!memory) return memory.error();
    usage.pss_bytes += parse_rollup(*memory, "Pss");
    usage.data_bytes += parse_rollup(*memory, "Pss_Anon") + parse_rollup(*memory, "Pss_Shmem");
    usage.cpu_s += double(all[pid].cpu_ticks) / double(sysconf(_SC_CLK_TCK));
    usage.user_s += double(all[pid].user_ticks) / double(sysconf(_SC_CLK_TCK));
    ++usage.processes;
  }
  return usage;
}

}  // namespace holdfast::bench
