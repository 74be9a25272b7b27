// State records that one process leaves to the next. The first byte says which; the rest are its bytes.
#include "base/fields.h"

#include "master/master_record.h"
#include "tests/fuzz/fuzz.h"
#include "worker/api/http/record.h"
#include "worker/api/record.h"
#include "worker/api/resp/record.h"
#include "worker/api/router/record.h"
#include "worker/backends/fcgi/record.h"
#include "worker/backends/record.h"
#include "worker/clients/record.h"
#include "worker/handover/slot_records.h"
#include "worker/observe/trace_record.h"
#include "worker/sessions/record.h"

namespace {

using namespace holdfast;
using namespace holdfast::handover;

// Whatever is read is written, and what was written is read as the same.
template <class Record>
bool read(std::string_view bytes, Record& record) {
  if (!load(fuzz::Piece(bytes).view(), record)) return false;
  std::string written = save(record);
  Record again;
  fuzz::expect(load(written, again), "what was written is read");
  fuzz::expect(save(again) == written, "and is the same");
  return true;
}

template <class Record>
void try_record(std::string_view bytes) {
  Record record;
  (void)read(bytes, record);
}

class Quiet final : public ws::FrameSink {
 public:
  bool on_message(ws::Opcode, std::string_view) override { return true; }
  bool on_ping(std::string_view) override { return true; }
  bool on_pong(std::string_view) override { return true; }
  void on_close(uint16_t, std::string_view) override {}
  void on_error(uint16_t, std::string_view) override {}
};

// A decoder goes on from any state that it does not refuse.
void try_decoder(std::string_view bytes) {
  static ws::Inflater inflater;
  ws::DecoderRecord record;
  if (!read(bytes, record)) return;
  for (ws::DeflateTerms terms : {ws::DeflateTerms(), ws::DeflateTerms(15, 15, true)}) {
    ws::Decoder decoder(1024, terms, &inflater);
    if (!decoder.restore(ws::DecoderRecord(record))) continue;
    std::string more(bytes);
    Quiet sink;
    decoder.feed(more, sink);
    ws::Decoder successor(1024, terms, &inflater);
    fuzz::expect(successor.restore(decoder.save()), "a decoder's own state is one");
  }
}

void (*const kRecords[])(std::string_view) = {
    try_decoder,
    try_record<ClientRecord>,
    try_record<SessionRecord>,
    try_record<SlotRecord>,
    try_record<SharedRecord>,
    try_record<NamedRecord>,
    try_record<EndRecord>,
    try_record<HttpRecord>,
    try_record<RespRecord>,
    try_record<RouterRecord>,
    try_record<ApiRecord>,
    try_record<TracerRecord>,
    try_record<BackendRecord>,
    try_record<SessionStateRecord>,
    try_record<fcgi::CarriedRecord>,
    try_record<master::MasterRecord>,
};

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  if (size > 0) kRecords[data[0] % std::size(kRecords)](fuzz::view(data + 1, size - 1));
  return 0;
}
