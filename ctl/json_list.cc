#include "ctl/json_list.h"

#include "ctl/instance.h"
#include "ctl/json.h"

namespace holdfast::ctl {

std::string JsonList::open(std::string_view head) {
  opened_ = true;
  std::string out = "{";
  out.append(head).append(head.empty() ? "" : ",");
  return out + "\"" + key_ + "\":[";
}

std::string JsonList::item(std::string_view json) {
  std::string out = after_item_ ? "," : "";
  after_item_ = true;
  return out.append(json);
}

std::string JsonList::close(const ListEnd& end) {
  std::string out = opened_ ? "" : open();
  out += "]";
  out += end.more ? ",\"more\":true" : ",\"more\":false";
  if (end.incomplete) out += ",\"partial\":true";
  if (end.error) {
    std::string error = error_json(code_of(*end.error), end.error->text());
    out += "," + error.substr(1, error.size() - 3);  // without {, } and the line end
  }
  return out + "}\n";
}

}  // namespace holdfast::ctl
