// conf/hints.h - the probable intention: ", did you mean ...?" after a problem, or "". Pure. Private to conf/.
#pragma once

#include <string>
#include <string_view>

namespace holdfast::conf {

// Of a text that is no address: a port alone, a name, a path or a URL. `connects`: it is to be connected to, and may
// have a name.
std::string address_hint(std::string_view text, bool connects);
// Of a line with a syntax error: a value that wants quotes.
std::string quotes_hint(std::string_view line);

}  // namespace holdfast::conf
