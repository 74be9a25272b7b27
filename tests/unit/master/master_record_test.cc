// What one image of the master leaves to the next.
#include "master/master_record.h"

#include <gtest/gtest.h>

#include "master/takeover.h"

namespace holdfast::master {
namespace {

MasterRecord some_record() {
  MasterRecord record;
  record.version = "0.1.0";
  record.instance = "demo";
  record.runtime_dir = "/run/demo";
  record.segment = 5;
  record.pid_file = 4;
  record.control = 9;
  record.asker = 17;
  record.image_path = "/usr/sbin/holdfastd";
  record.former_image = 18;
  record.doorbells = {{6, 7}, {8, 10}};
  record.points = {{"127.0.0.1:80", {11, 12}, "", 0, 0}, {"unix:/a", {13}, "/a", 3, 4}};
  record.generations = {{2, true, "/etc/holdfast.toml", "[server]\n"}};
  record.slots = {SlotRecord{.slot = 0, .phase = 2, .generation = 2, .pid = 100, .control = 14},
                  SlotRecord{.slot = 1, .phase = 5, .generation = 2, .respawn_at_ms = 9}};
  record.leavers = {{1, 99, 15, 77}};
  return record;
}

TEST(MasterRecord, ReadsBackWhatWasWritten) {
  auto file = write_record(some_record());
  ASSERT_TRUE(file);
  auto read = read_record(file->get());
  ASSERT_TRUE(read);
  EXPECT_EQ(handover::save(*read), handover::save(some_record()));
  EXPECT_EQ(read->points[1].lanes, std::vector<int>{13});
  EXPECT_EQ(read->slots[0].pid, 100);
  EXPECT_EQ(read->leavers[0].kill_at_ms, 77u);
}

// Whoever adds a descriptor adds it there, or it is closed by execve(2).
TEST(MasterRecord, NamesEveryDescriptorThatTravels) {
  EXPECT_EQ(descriptors_of(some_record()),
            (std::vector<int>{5, 4, 9, 17, 18, 6, 7, 8, 10, 11, 12, 13, 14, 15}));
}

// As version 0.1.0 wrote it: from here on these bytes stay readable.
TEST(MasterRecord, TakesARecordedOneWithoutLaterFields) {
  const unsigned char recorded[] = {
      1,  0, 5,  0, 0, 0, '0', '.', '1', '.', '0',  // version
      2,  0, 4,  0, 0, 0, 'd', 'e', 'm', 'o',       // instance
      4,  0, 4,  0, 0, 0, 5,   0,   0,   0,         // segment
      14, 0, 12, 0, 0, 0, 8,   0,   0,   0,         // slots: one, of 8 bytes,
      1,  0, 2,  0, 0, 0, 3,   0,                   // with its number
  };
  MasterRecord record;
  std::string_view bytes(reinterpret_cast<const char*>(recorded), sizeof recorded);
  ASSERT_TRUE(handover::load(bytes, record));
  EXPECT_EQ(record.version, "0.1.0");
  EXPECT_EQ(record.segment, 5);
  ASSERT_EQ(record.slots.size(), 1u);
  EXPECT_EQ(record.slots[0].slot, 3);
  EXPECT_EQ(record.slots[0].pid, 0);
  EXPECT_TRUE(record.doorbells.empty());
}

TEST(MasterRecord, IsRefusedWhereItMakesNoSense) {
  std::string whole = handover::save(some_record());
  for (size_t cut = 1; cut < whole.size(); ++cut) {
    MasterRecord record;
    // A cut between two fields is a record with fewer fields; anywhere else it is none.
    if (handover::load(std::string_view(whole).substr(0, cut), record)) {
      EXPECT_LE(handover::save(record).size(), cut);
    }
  }
  auto file = write_record({});
  ASSERT_TRUE(file);
  ASSERT_EQ(write(file->get(), "x", 1), 1);
  EXPECT_FALSE(read_record(file->get()));
}

TEST(MasterRecord, FindsTheBinaryUnderTheNameItWasStartedBy) {
  EXPECT_EQ(image_path_of({"/usr/sbin/holdfastd", "-c", "x"}), "/usr/sbin/holdfastd");
  EXPECT_EQ(image_path_of({"./holdfastd"}).back(), 'd');
  EXPECT_EQ(image_path_of({"./holdfastd"}).front(), '/');
  EXPECT_EQ(image_path_of({"holdfastd"}).front(), '/');  // found by PATH: where it lies
  EXPECT_EQ(image_path_of({}), "");
}

}  // namespace
}  // namespace holdfast::master
