// As base/pch/pch.h, for tests of whole instances.
#include <gtest/gtest.h>

#include "base/pch/pch.h"
#include "tests/harness/clients.h"
#include "tests/harness/gateway.h"
