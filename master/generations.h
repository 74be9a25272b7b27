// master/generations.h - the configurations in use: the current one, one being tried, and those
// that some process still runs: in a slot that could not be handed over, or one that finishes.
//
// Who writes: start and reload. Pointers to a Generation stay valid while a slot or its successor
// runs it, or it is the current one, or it is being tried.
#pragma once

#include <memory>
#include <vector>

#include "master/generation.h"
#include "master/slots.h"

namespace holdfast::master {

class Generations {
 public:
  const Generation& current() const { return *current_; }
  bool is_current(const Generation* generation) const { return generation == current_; }

  // A generation to be tried; becomes the current one with accept(), or goes with drop_unused()
  // after give_up().
  const Generation& add(Generation generation) {
    all_.push_back(std::make_unique<Generation>(std::move(generation)));
    tried_ = all_.back().get();
    return *tried_;
  }
  // One that runs, from the former image of the master.
  void restore(Generation generation, bool current) {
    all_.push_back(std::make_unique<Generation>(std::move(generation)));
    if (current) current_ = all_.back().get();
  }
  const Generation* find(uint32_t number) const {
    for (const auto& generation : all_)
      if (generation->number == number) return generation.get();
    return nullptr;
  }
  template <class Function>
  void for_each(Function&& function) const {
    for (const auto& generation : all_) function(*generation);
  }
  void accept() { current_ = std::exchange(tried_, nullptr); }
  void give_up() { tried_ = nullptr; }
  void drop_unused(const Slots& slots) {
    std::erase_if(all_, [&](const auto& g) {
      return g.get() != current_ && g.get() != tried_ && !slots.runs(*g);
    });
  }
  size_t size() const { return all_.size(); }

 private:
  std::vector<std::unique_ptr<Generation>> all_;
  const Generation* current_ = nullptr;
  const Generation* tried_ = nullptr;
};

}  // namespace holdfast::master
