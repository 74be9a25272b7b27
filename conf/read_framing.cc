// listen.framing: { kind = "length", ... } or { kind = "delimiter", bytes = "..." }.
#include "conf/read.h"

namespace holdfast::conf {

namespace {

constexpr std::string_view kForms =
    R"({ kind = "length", offset = 0, size = 4 } or { kind = "delimiter", bytes = "\n" })";

void refuse(Table& table, std::initializer_list<std::string_view> keys, std::string_view what) {
  for (std::string_view key : keys) table.misplaced(key, what, "");
}

void read_field_size(Table& table, Framing& framing) {
  unsigned size = framing.size;
  if (!table.number("size", size, {1, 8})) return;
  if (size == 1 || size == 2 || size == 4 || size == 8) {
    framing.size = size;
  } else {
    table.wrong("size", "not a size of a length field", "1, 2, 4 or 8");
  }
}

void read_length(Table& table, Framing& framing) {
  refuse(table, {"bytes"}, "only for kind = \"delimiter\"");
  table.number("offset", framing.offset, {0, 64});
  read_field_size(table, framing);
  table.choice<bool>("order", framing.big_endian, {{"big", true}, {"little", false}});
  table.boolean("includes_header", framing.includes_header);
  framing.strip = framing.offset == 0;
  if (table.boolean("strip", framing.strip) && framing.strip && framing.offset != 0) {
    table.wrong("strip", "the bytes before the length field cannot be invented",
                "true only with offset = 0");
  }
}

void read_delimiter(Table& table, Framing& framing) {
  refuse(table, {"offset", "size", "order", "includes_header", "strip"},
         "only for kind = \"length\"");
  constexpr std::string_view kAllowed = "1 to 16 bytes, as \"\\n\"";
  if (!table.has("bytes")) return table.missing("bytes", std::string(kAllowed));
  if (!table.text("bytes", framing.delimiter)) return;
  if (framing.delimiter.empty()) table.wrong("bytes", "empty", std::string(kAllowed));
  if (framing.delimiter.size() > 16) table.wrong("bytes", "too long", std::string(kAllowed));
}

}  // namespace

void read_framing(Table& listen, Listen& out) {
  out.framing.emplace();
  if (!listen.has("framing")) return listen.missing("framing", std::string(kForms));
  std::optional<Table> table = listen.table("framing", kForms);
  if (!table) return;
  // All keys of both kinds are known: a wrong `kind` must not make them look unknown.
  for (std::string_view key :
       {"kind", "bytes", "offset", "size", "order", "includes_header", "strip"}) {
    table->has(key);
  }
  if (!table->has("kind")) {
    table->missing("kind", "\"length\", \"delimiter\"");
  } else if (table->choice<FramingKind>(
                 "kind", out.framing->kind,
                 {{"length", FramingKind::length}, {"delimiter", FramingKind::delimiter}})) {
    bool length = out.framing->kind == FramingKind::length;
    length ? read_length(*table, *out.framing) : read_delimiter(*table, *out.framing);
  }
  table->finish();
}

}  // namespace holdfast::conf
