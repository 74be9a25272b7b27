// worker/net/input_queue.h - input of clients that is not decoded yet: whose turn it is.
//
// A connection decodes the bytes of one read until its share of the turn is spent (turn_budget.h). The rest stays with it as
// Undecoded, it is not read any further, and it goes on when its turn comes: one share each, in the order in which they came to
// wait. Those that are ready to be read have the other half of the turn, so that a newcomer does not wait for all of them.
//
//   Undecoded    owned by its connection, exists only while something is left
//                queued: it has a turn;  aside: its backend takes no more, so it has none
//   InputQueue   ConnectionTable's, one a worker
//
// Bound: one read a connection; and if all of them together hold more than kCrowded, one read is kCrowdedRead, so
// that many connections cannot leave 64 KiB each here. bytes.undecoded is their sum.
// Handover: the bytes travel in the client's record; the successor's queue begins in the order of the records.
#pragma once

#include <cstddef>
#include <list>
#include <span>
#include <string>

#include "worker/net/runtime.h"

namespace holdfast {

class Connection;
class InputQueue;

class Undecoded {
 public:
  enum class Gauge : uint8_t { counts, counted };  // counted: a predecessor has
  Undecoded(InputQueue& queue, Connection& owner, std::span<const char> bytes, Gauge gauge);
  Undecoded(const Undecoded&) = delete;
  Undecoded& operator=(const Undecoded&) = delete;
  ~Undecoded();

  // The rest. May be written to: a codec unmasks the bytes that it takes, and nothing else.
  std::span<char> rest() { return {bytes_.data() + used_, bytes_.size() - used_}; }
  void take(size_t bytes);
  void append(std::span<const char> bytes);
  // At the end of the queue, if it is not in it.
  void join();
  void stand_aside();

 private:
  friend class InputQueue;
  InputQueue& queue_;
  Connection& owner_;
  std::string bytes_;
  size_t used_ = 0;
  std::list<Undecoded*> spare_{this};  // its place, while it stands aside
  std::list<Undecoded*>::iterator place_ = spare_.begin();
};

class InputQueue {
 public:
  static constexpr size_t kCrowded = 16 * 1024 * 1024;
  static constexpr size_t kCrowdedRead = 1024;

  explicit InputQueue(Runtime& runtime) : runtime_(runtime) {}
  InputQueue(const InputQueue&) = delete;
  InputQueue& operator=(const InputQueue&) = delete;

  // One turn's share for those that wait, Connection::go_on() of each. True: some still wait for a turn.
  bool run();
  // How much one read may bring.
  size_t most_a_read() const { return held_ > kCrowded ? kCrowdedRead : runtime_.scratch.size(); }

 private:
  friend class Undecoded;
  Runtime& runtime_;
  std::list<Undecoded*> waiting_;
  size_t held_ = 0;  // bytes of memory
};

}  // namespace holdfast
