// As base/pch/pch.h, with what nearly every source of a worker sees.
#include "base/fields.h"
#include "base/pch/pch.h"
#include "worker/channels/hub.h"
#include "worker/net/connection.h"
#include "worker/routing/command.h"
#include "worker/sessions/table.h"
