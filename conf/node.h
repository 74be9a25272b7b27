// conf/node.h - a parsed TOML document as plain values that know where they stand. Private to
// conf/.
//
// load.cc makes the tree (the only file that knows toml11); table.h reads it. So the checks of the
// keys compile without the TOML library and cannot meet its exceptions.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace holdfast::conf {

// 1-based; columns count bytes. Line 0: the file as a whole.
struct Place {
  unsigned line = 0;
  unsigned column = 0;
};

struct Member;

struct Node {
  enum class Kind : uint8_t { boolean, integer, floating, string, time, array, table };

  Kind kind = Kind::table;
  Place place;
  std::string written;  // as in the file, cut to one short line: for error messages
  bool flag = false;
  int64_t number = 0;
  std::string text;
  std::vector<Node> items;      // array
  std::vector<Member> members;  // table, in no particular order
};

struct Member {
  std::string key;
  Place key_place;
  Node value;
};

}  // namespace holdfast::conf
