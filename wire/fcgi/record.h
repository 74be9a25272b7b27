// wire/fcgi/record.h - a reader in the middle of an answer, as it travels to a successor.
#pragma once

#include <cstdint>

#include "base/fields.h"

namespace holdfast::fcgi {

// fcgi::RecordReader, in the middle of an answer.
struct ReaderRecord {
  uint8_t part = 0;
  uint8_t type = 0;
  uint8_t padding_left = 0;
  uint8_t held = 0;
  uint16_t content_left = 0;
  uint8_t hold[8]{};
};
template <class Archive>
void fields(Archive& a, ReaderRecord& r) {
  auto& [part, type, padding_left, held, content_left, hold] = r;
  a(1, part);
  a(2, type);
  a(3, padding_left);
  a(4, held);
  a(5, content_left);
  a(6, hold);
}

}  // namespace holdfast::fcgi
