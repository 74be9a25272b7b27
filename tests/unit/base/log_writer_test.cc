// A log that nobody reads: a pipe that is full, a FIFO, a socket, a full disk.
#include "base/log_writer.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <string>

#include "base/check.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/log_guard.h"
#include "tests/unit/conf/temp_dir.h"

namespace holdfast {
namespace {

// Another descriptor is stderr for a while.
class StderrIs {
 public:
  explicit StderrIs(int fd) : before_(dup(STDERR_FILENO)) {
    HF_CHECK(before_ && dup2(fd, STDERR_FILENO) == STDERR_FILENO);
  }
  StderrIs(const StderrIs&) = delete;
  StderrIs& operator=(const StderrIs&) = delete;
  ~StderrIs() { dup2(before_.get(), STDERR_FILENO); }

 private:
  UniqueFd before_;
};

struct Pipe {
  Pipe() {
    int ends[2];
    HF_CHECK(pipe2(ends, O_CLOEXEC) == 0);
    read_end.reset(ends[0]);
    write_end.reset(ends[1]);
  }
  // All that is there.
  std::string drain() const {
    fcntl(read_end.get(), F_SETFL, O_NONBLOCK);
    std::string all;
    char part[4096];
    for (ssize_t got; (got = read(read_end.get(), part, sizeof part)) > 0;)
      all.append(part, size_t(got));
    return all;
  }
  UniqueFd read_end, write_end;
};

class LogNobodyReads : public testing::Test {
 protected:
  ~LogNobodyReads() override { HF_CHECK(bool(open_log({}, "test"))); }
  // 200 KB. Shorter than the word about dropped lines: what a pipe has no room left for, it has none for the word either.
  static void many_lines() {
    for (int i = 0; i < 4'000; ++i) log_info("{:05} xxx", i);
  }
  conf::TempDir dir_;
};

TEST_F(LogNobodyReads, APipeThatIsFullStopsNobodyAndTheNumberDroppedIsSaidLater) {
  Pipe pipe;
  StderrIs here(pipe.write_end.get());
  ASSERT_TRUE(open_log({}, "test"));
  log_catch_up();
  many_lines();
  uint64_t dropped = log_catch_up();
  EXPECT_GT(dropped, 1'000u);
  EXPECT_LT(dropped, 4'000u);
  std::string first = pipe.drain();
  EXPECT_EQ(first.find("dropped"), std::string::npos);
  EXPECT_TRUE(first.ends_with("x\n")) << "no line is torn";
  EXPECT_EQ(log_catch_up(), 0u);
  std::string said = pipe.drain();
  EXPECT_NE(said.find(fmt::format(" warn  {} log lines were dropped", dropped)), std::string::npos)
      << said;
  log_info("after");
  EXPECT_TRUE(pipe.drain().ends_with(" info  after\n"));
}

TEST_F(LogNobodyReads, TheWordComesBeforeTheNextLine) {
  Pipe pipe;
  StderrIs here(pipe.write_end.get());
  ASSERT_TRUE(open_log({}, "test"));
  many_lines();
  pipe.drain();
  log_info("after");
  std::string text = pipe.drain();
  size_t word = text.find("log lines were dropped"), line = text.find("after");
  ASSERT_NE(word, std::string::npos) << text;
  ASSERT_NE(line, std::string::npos) << text;
  EXPECT_LT(word, line);
}

// A line longer than what a pipe takes at once is begun, and goes on where it stopped.
TEST_F(LogNobodyReads, ALineThatWasBegunIsFinishedFirst) {
  Pipe pipe;
  StderrIs here(pipe.write_end.get());
  ASSERT_TRUE(open_log({}, "test"));
  log_info("{}", std::string(100'000, 'y'));
  log_info("dropped, for the first is not out");
  std::string text = pipe.drain();
  log_catch_up();
  text += pipe.drain();
  log_catch_up();
  text += pipe.drain();
  size_t end = text.find('\n');
  ASSERT_NE(end, std::string::npos);
  EXPECT_TRUE(text.substr(0, end).ends_with(std::string(100'000, 'y')));
  EXPECT_NE(text.find("1 log lines were dropped"), std::string::npos);
}

TEST_F(LogNobodyReads, TheSharedDescriptorStaysAsItWas) {
  Pipe pipe;
  StderrIs here(pipe.write_end.get());
  ASSERT_TRUE(open_log({}, "test"));
  many_lines();
  EXPECT_EQ(fcntl(pipe.write_end.get(), F_GETFL) & O_NONBLOCK, 0);
}

// As in a container whose pipe is root's and whose server is not.
TEST_F(LogNobodyReads, APipeThatMayNotBeOpenedAnew) {
  if (geteuid() != 0) GTEST_SKIP() << "only root can make a pipe that is not its reader's";
  Pipe pipe;
  pid_t child = fork();
  if (child == 0) {
    alarm(60);
    StderrIs here(pipe.write_end.get());
    bool apart = setresuid(65534, 65534, 65534) == 0 && bool(open_log({}, "test"));
    many_lines();
    _exit(apart && log_catch_up() > 0 ? 0 : 1);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 0) << status;
  EXPECT_NE(pipe.drain().find(" 00100 xxx"), std::string::npos);
}

TEST_F(LogNobodyReads, ASocketAsAServiceManagerGivesIt) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
  UniqueFd ours(ends[0]), theirs(ends[1]);
  StderrIs here(ours.get());
  ASSERT_TRUE(open_log({}, "test"));
  log_catch_up();
  for (int i = 0; i < 4; ++i) many_lines();
  EXPECT_GT(log_catch_up(), 0u);
  theirs.reset();
  log_info("nobody at all: no SIGPIPE");
}

TEST_F(LogNobodyReads, AFullDisk) {
  UniqueFd full(open("/dev/full", O_WRONLY | O_CLOEXEC));
  if (!full) GTEST_SKIP() << "no /dev/full here";
  StderrIs here(full.get());
  ASSERT_TRUE(open_log({}, "test"));
  log_catch_up();
  log_info("lost");
  log_info("lost");
  EXPECT_EQ(log_catch_up(), 2u);
}

TEST_F(LogNobodyReads, AFifoIsOpenedWhereSomebodyReadsItAndElseRefused) {
  std::string path = dir_ / "fifo";
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  Result<void> opened = open_log({LogLevel::info, path, false}, "test");
  ASSERT_FALSE(opened);
  EXPECT_NE(opened.error().text().find("nobody reads it"), std::string::npos)
      << opened.error().text();
  UniqueFd reader(open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  ASSERT_TRUE(open_log({LogLevel::info, path, false}, "test"));
  log_catch_up();
  many_lines();
  EXPECT_GT(log_catch_up(), 0u);
}

TEST_F(LogNobodyReads, AFileLosesNothing) {
  ASSERT_TRUE(open_log({LogLevel::info, dir_ / "log", false}, "test"));
  log_catch_up();
  many_lines();
  EXPECT_EQ(log_catch_up(), 0u);
  std::ifstream file(dir_ / "log");
  std::string text{std::istreambuf_iterator<char>(file), {}};
  EXPECT_NE(text.find(" 03999 xxx"), std::string::npos);
}

}  // namespace
}  // namespace holdfast
