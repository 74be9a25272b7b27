#include "base/fault.h"

#ifdef HOLDFAST_FAULTS

#include <signal.h>
#include <unistd.h>

#include <cstdlib>
#include <fstream>
#include <string>

namespace holdfast {

void fault_point(const char* name) {
  const char* path = std::getenv("HF_FAULT_FILE");
  if (path == nullptr) return;
  std::string wanted, action;
  std::ifstream(path) >> wanted >> action;
  if (wanted != name || unlink(path) != 0) return;
  if (action == "exit") _exit(3);
  int signal_number = action == "stop" ? SIGSTOP : action == "segv" ? SIGSEGV : SIGKILL;
  kill(getpid(), signal_number);
}

}  // namespace holdfast

#endif
