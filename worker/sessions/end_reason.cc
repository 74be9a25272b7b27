#include "worker/sessions/end_reason.h"

namespace holdfast {

EndReasonFacts facts_of(EndReason reason) {
  switch (reason) {
#define HF_END_REASON(name, number, text, counter, code) \
  case EndReason::name:                                  \
    return {text, counter, code};
#include "worker/sessions/end_reason.def"
#undef HF_END_REASON
  }
  return {"unknown", nullptr, 1006};
}

}  // namespace holdfast
