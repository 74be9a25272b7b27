// tests/harness/gateway.h - a real holdfastd with real workers for one test: own directory, own instance, port 0.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "shm/segment.h"
#include "tests/harness/clients.h"
#include "tests/harness/process.h"

namespace holdfast::test {

struct GatewayOptions {
  unsigned workers = 2;
  std::string server;  // further lines of [server]
  std::string limits;  // lines of [limits]
  // [[listen]], [backend.X] and [[api]] tables. @DIR@ is the test's directory. An HTTP API on a port of its own is
  // always there, as the first api.
  std::string tables;
  std::string log_level = "info";
  std::map<std::string, std::string> environment;
  std::string holdfastd;  // another binary than $HF_HOLDFASTD
};

class Gateway {
 public:
  explicit Gateway(GatewayOptions options);
  ~Gateway();  // kills what is left; a test that wants a clean end says stop()

  pid_t master() const { return process_.pid(); }
  Process& process() { return process_; }
  pid_t worker(uint16_t slot) const;
  std::vector<uint16_t> serving_slots() const;
  // Actual addresses, in the order of the configuration.
  std::string listener(size_t n = 0) const;
  std::string api(size_t n = 0) const;
  std::string dir() const { return dir_.path(); }
  std::string config_file() const { return dir_ / "holdfast.toml"; }
  std::string instance() const { return instance_; }
  std::string log() const;

  // Sum over all slots, now.
  uint64_t counter(std::string_view name) const;
  // Polls until it is `value`; the answer is its last value.
  uint64_t counter_becomes(std::string_view name, uint64_t value) const;
  uint64_t generation() const;
  uint16_t slot_of(const std::string& session) const;

  // Opens WebSockets until one lands on each of `slots`, so a test can speak of "the client on worker 1". Those
  // that landed twice are closed.
  std::vector<WsClient> one_on_each(const std::string& target, const std::vector<uint16_t>& slots);
  // An API connection that is served by this slot.
  HttpClient api_on(uint16_t slot);

  void write_config(const GatewayOptions& options);
  void signal(int number) { process_.signal(number); }
  // TERM, then its exit status.
  int stop(int ms = 15'000);
  Finished ctl(const std::vector<std::string>& arguments, const std::string& input = {}) const;
  shm::Segment& segment() const;
  // Attaches again (after the master was replaced).
  void attach();
  // Other options from the next start() on.
  void use(const GatewayOptions& options);
  void start();  // again, after it ended

 private:
  std::string text_of(const GatewayOptions& options) const;

  TempDir dir_;
  std::string instance_;
  GatewayOptions options_;
  Process process_;
  std::vector<Process> former_;  // masters that were replaced: their workers may still drain
  std::unique_ptr<shm::Segment> segment_;
};

std::string binary(const char* variable);  // path of a program under test, from the environment

// {"sessions":["..."],"data":"..."}
std::string send_body(const std::vector<std::string>& sessions, const std::string& data);
std::string publish_body(const std::vector<std::string>& channels, const std::string& data);

}  // namespace holdfast::test
