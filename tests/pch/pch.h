// As base/pch/pch.h, for tests.
#include <gtest/gtest.h>

#include "worker/pch/pch.h"
