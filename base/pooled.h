// base/pooled.h - for objects of which there is one for every connection: they lie side by side, whatever is allocated and
// freed between them (a hand-shake's buffers), which the general allocator would leave holes for. Freed places are used
// again for the same size; memory goes back to the system with the process.
#pragma once

#include <cstddef>
#include <memory_resource>

namespace holdfast {

// Base of a class that one thread of a process makes and destroys: class Client : public Pooled<Client>.
template <class T>
class Pooled {
 public:
#ifndef __SANITIZE_ADDRESS__  // which would not see uses of freed places
  // Its match is the sized form below.
  static void* operator new(size_t bytes) {  // NOLINT(cert-dcl54-cpp,misc-new-delete-overloads)
    return pool().allocate(bytes, alignof(T));
  }
  static void operator delete(void* object, size_t bytes) {
    pool().deallocate(object, bytes, alignof(T));
  }

 private:
  // Never destroyed: objects may outlive statics.
  static std::pmr::unsynchronized_pool_resource& pool() {
    static auto* pool = new std::pmr::unsynchronized_pool_resource();
    return *pool;
  }
#endif
};

}  // namespace holdfast
