// worker/net/named_record.h - a record with the name of what it belongs to.
#pragma once

#include <string>

#include "base/fields.h"

namespace holdfast::handover {

// A record of a backend, or of what came by an api listener, under its name.
struct NamedRecord {
  std::string name;
  std::string record;
};
template <class Archive>
void fields(Archive& a, NamedRecord& r) {
  auto& [name, record] = r;
  a(1, name);
  a(2, record);
}

}  // namespace holdfast::handover
