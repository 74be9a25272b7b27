#include "tests/harness/gateway.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <sstream>

#include "tests/harness/wait.h"

namespace holdfast::test {
namespace {

std::string replace_all(std::string text, const std::string& from, const std::string& to) {
  for (size_t at = 0; (at = text.find(from, at)) != std::string::npos; at += to.size())
    text.replace(at, from.size(), to);
  return text;
}

std::string json_list(const std::vector<std::string>& items) {
  std::string out = "[";
  for (const std::string& item : items) out += (out.size() > 1 ? ",\"" : "\"") + item + "\"";
  return out + "]";
}

// The n-th address of RUNTIME_DIR/listeners whose line starts with `kind`.
std::string listed(const std::string& file, bool api, size_t n) {
  std::istringstream lines(read_file(file));
  std::string line;
  while (std::getline(lines, line)) {
    if (line.starts_with("api ") != api) continue;
    if (n-- == 0) return line.substr(line.rfind(' ') + 1);
  }
  throw std::runtime_error("no such listener in " + file);
}

}  // namespace

std::string binary(const char* variable) {
  const char* path = std::getenv(variable);
  if (path == nullptr)
    throw std::runtime_error(std::string(variable) + " is not set; run by `meson test`");
  return path;
}

std::string send_body(const std::vector<std::string>& sessions, const std::string& data) {
  return "{\"sessions\":" + json_list(sessions) + ",\"data\":\"" + data + "\"}";
}

std::string publish_body(const std::vector<std::string>& channels, const std::string& data) {
  return "{\"channels\":" + json_list(channels) + ",\"data\":\"" + data + "\"}";
}

Gateway::Gateway(GatewayOptions options) : options_(std::move(options)) {
  static unsigned count = 0;
  instance_ = "t" + std::to_string(getpid()) + "-" + std::to_string(count++);
  write_config(options_);
  start();
}

Gateway::~Gateway() {
  if (testing::Test::HasFailure())
    std::printf("---- log of %s\n%s----\n", instance_.c_str(), log().c_str());
  segment_.reset();
  if (process_.running()) {
    process_.signal(SIGTERM);
    process_.wait_for_end(15'000);
  }
}

void Gateway::start() {
  std::vector<std::string> command{"env"};
  for (const auto& [name, value] : options_.environment) command.push_back(name + "=" + value);
  command.insert(command.end(),
                 {options_.holdfastd.empty() ? binary("HF_HOLDFASTD") : options_.holdfastd, "-c",
                  config_file()});
  if (process_.pid() > 0) former_.push_back(std::move(process_));
  process_ = Process(command, dir_ / "stderr");
  unsigned workers = options_.workers;
  bool up = eventually([&] {
    if (!process_.running()) return true;
    auto attached = shm::Segment::attach(instance_);
    if (!attached || attached->header().master_pid.load() != uint32_t(process_.pid())) return false;
    segment_ = std::make_unique<shm::Segment>(*std::move(attached));
    return serving_slots().size() >= workers;
  });
  if (!up || !process_.running()) throw std::runtime_error("holdfastd did not start:\n" + log());
}

void Gateway::use(const GatewayOptions& options) {
  options_ = options;
  write_config(options_);
}

void Gateway::attach() {
  auto attached = shm::Segment::attach(instance_);
  if (!attached) throw std::runtime_error(attached.error().text());
  segment_ = std::make_unique<shm::Segment>(*std::move(attached));
}

std::string Gateway::text_of(const GatewayOptions& options) const {
  std::string text =
      "[server]\ninstance = \"" + instance_ +
      "\"\nruntime_dir = \"@DIR@/run\"\nworkers = " + std::to_string(options.workers) + "\n" +
      options.server + "\n[log]\nlevel = \"" + options.log_level + "\"\n[limits]\n" +
      (options.limits.find("max_sessions") == std::string::npos ? "max_sessions = 20000\n" : "") +
      options.limits + "\n[[api]]\naddress = \"127.0.0.1:0\"\nprotocol = \"http\"\n" +
      options.tables;
  return replace_all(text, "@DIR@", dir_.path());
}

void Gateway::write_config(const GatewayOptions& options) {
  write_file(config_file(), text_of(options));
}

std::string Gateway::log() const {
  return read_file(dir_ / "stderr");
}

shm::Segment& Gateway::segment() const {
  return *segment_;
}

pid_t Gateway::worker(uint16_t slot) const {
  return pid_t(segment_->slot(slot).pid.load());
}

std::vector<uint16_t> Gateway::serving_slots() const {
  std::vector<uint16_t> slots;
  for (uint16_t s = 0; s < segment_->capacities().max_workers; ++s)
    if (segment_->slot(s).state.load() == shm::SlotState::serving) slots.push_back(s);
  return slots;
}

std::string Gateway::listener(size_t n) const {
  return listed(dir_ / "run/listeners", false, n);
}
std::string Gateway::api(size_t n) const {
  return listed(dir_ / "run/listeners", true, n);
}

uint64_t Gateway::counter(std::string_view name) const {
  for (const shm::StatInfo& info : shm::all_stats()) {
    if (info.name != name) continue;
    uint64_t sum = 0;
    for (uint32_t s = 0; s < segment_->capacities().max_workers; ++s)
      sum += shm::cell_of(segment_->stats(s), info).get();
    return sum;
  }
  throw std::runtime_error("no counter " + std::string(name));
}

uint64_t Gateway::counter_becomes(std::string_view name, uint64_t value) const {
  eventually([&] { return counter(name) == value; });
  return counter(name);
}

uint64_t Gateway::generation() const {
  return segment_->header().generation.load();
}

uint16_t Gateway::slot_of(const std::string& session) const {
  auto id = shm::SessionId::parse(session);
  auto slot = id ? segment_->directory().find(*id) : std::nullopt;
  if (!slot) throw std::runtime_error("no such session: " + session);
  return *slot;
}

std::vector<WsClient> Gateway::one_on_each(const std::string& target,
                                           const std::vector<uint16_t>& slots) {
  std::map<uint16_t, WsClient> found;
  for (unsigned tries = 0; tries < 200 && found.size() < slots.size(); ++tries) {
    WsClient client(listener(), target);
    uint16_t slot = slot_of(client.session());
    if (std::find(slots.begin(), slots.end(), slot) != slots.end())
      found.emplace(slot, std::move(client));
  }
  std::vector<WsClient> out;
  for (uint16_t slot : slots) out.push_back(std::move(found.at(slot)));
  return out;
}

HttpClient Gateway::api_on(uint16_t slot) {
  for (unsigned tries = 0; tries < 200; ++tries) {
    HttpClient client(api());
    if (client.get("/healthz").header("Holdfast-Worker") == std::to_string(slot)) return client;
  }
  throw std::runtime_error("no API connection landed on slot " + std::to_string(slot));
}

int Gateway::stop(int ms) {
  process_.signal(SIGTERM);
  return process_.wait_for_end(ms);
}

Finished Gateway::ctl(const std::vector<std::string>& arguments, const std::string& input) const {
  std::vector<std::string> command{binary("HF_HOLDFASTCTL"), "-c", config_file()};
  command.insert(command.end(), arguments.begin(), arguments.end());
  return run(command, input);
}

}  // namespace holdfast::test
