// bench/micro/main.cc - holdfast-micro. Unlike the library's own main it fails if a benchmark
// reported an error.
#include <benchmark/benchmark.h>

namespace {

// Hands everything on to the reporter that the command line chose.
class FailingReporter : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override { return chosen_->ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) failed_ |= run.error_occurred;
    chosen_->ReportRuns(runs);
  }
  void Finalize() override { chosen_->Finalize(); }
  bool failed() const { return failed_; }

 private:
  BenchmarkReporter* chosen_ = benchmark::CreateDefaultDisplayReporter();  // the library keeps it
  bool failed_ = false;
};

}  // namespace

int main(int argc, char** argv) {
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) return 2;
  FailingReporter reporter;
  benchmark::RunSpecifiedBenchmarks(&reporter);
  benchmark::Shutdown();
  return reporter.failed() ? 1 : 0;
}
