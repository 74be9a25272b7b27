#include "ctl/table.h"

#include <gtest/gtest.h>

#include "ctl/watch.h"

namespace holdfast::ctl {
namespace {

TEST(Table, ColumnsAreAsWideAsTheirWidestCell) {
  Table table({{"NAME"}, {"COUNT", Align::right}, {"MEANING"}});
  table.row({"a", "1", "first"});
  table.row({"longer", "1,000,000", "second"});
  EXPECT_EQ(table.text(),
            "NAME        COUNT  MEANING\n"
            "a               1  first\n"
            "longer  1,000,000  second\n");
}

TEST(Table, NoLineEndsInBlanks) {
  Table table({{"A"}, {"B"}});
  table.row({"1", ""});
  table.row({"2", "long"});
  EXPECT_EQ(table.text(), "A  B\n1\n2  long\n");
}

TEST(Table, CellsOfSeveralBytesPerCharacterStayAligned) {
  Table table({{"USER"}, {"X"}});
  table.row({"J\xc3\xbcrgen", "1"});
  table.row({"Jurgen", "2"});
  EXPECT_EQ(table.text(), "USER    X\nJ\xc3\xbcrgen  1\nJurgen  2\n");
}

TEST(Table, ColourTouchesTheHeadingOnly) {
  Table table({{"A"}});
  table.row({"1"});
  EXPECT_EQ(table.text({.colour = true}), "\033[1mA\033[0m\n1\n");
}

TEST(Table, ColumnsThatMayShrinkDoSoTheLastFirst) {
  Table table({{"ID"}, {"NAME", Align::left, 4}, {"MEANING", Align::left, 5}});
  table.row({"12345", "abcdefgh", "something long"});
  EXPECT_EQ(table.text({.width = 25}),
            "ID     NAME      MEANING\n"
            "12345  abcdefgh  somethi\u2026\n");
  EXPECT_EQ(table.text({.width = 18}),
            "ID     NAME  MEAN\u2026\n"
            "12345  abc\u2026  some\u2026\n");
}

TEST(Table, ColumnsThatDoNotFitAreLeftOutAndNamed) {
  Table table({{"ID"}, {"PEER"}, {"WORKER", Align::right}});
  table.row({"12345", "192.0.2.1", "0"});
  EXPECT_EQ(table.text({.width = 20}), "ID     PEER\n12345  192.0.2.1\n");
  EXPECT_EQ(table.left_out(), "WORKER");
  EXPECT_EQ(table.text({.width = 3}), "ID\n12345\n") << "the first column is never cut";
  EXPECT_EQ(table.left_out(), "PEER, WORKER");
  EXPECT_EQ(table.text(), "ID     PEER       WORKER\n12345  192.0.2.1       0\n");
  EXPECT_EQ(table.left_out(), "");
}

TEST(Table, PagesHaveOneHeadingAndNeverBecomeNarrower) {
  Table table({{"N", Align::right}, {"NAME"}});
  table.row({"1000", "a"});
  EXPECT_EQ(table.page(), "   N  NAME\n1000  a\n");
  table.row({"1", "b"});
  EXPECT_EQ(table.page(), "   1  b\n");
  table.row({"100000", "c"});
  EXPECT_EQ(table.page(), "100000  c\n");
  EXPECT_EQ(table.page(), "");
}

TEST(Table, ValuesOfNamedLinesAreAligned) {
  EXPECT_EQ(name_value_lines({{"id", "1"}, {"state", "open"}}), "id     1\nstate  open\n");
}

TEST(CutToHeight, LeavesShortTextAlone) {
  EXPECT_EQ(cut_to_height("a\nb\nc\n", 4), "a\nb\nc\n");
  EXPECT_EQ(cut_to_height("a\nb\nc\n", 0), "a\nb\nc\n");
}

TEST(CutToHeight, SaysHowManyLinesAreMissing) {
  EXPECT_EQ(cut_to_height("a\nb\nc\nd\ne\n", 4), "a\nb\n... 3 more lines\n");
}

}  // namespace
}  // namespace holdfast::ctl
