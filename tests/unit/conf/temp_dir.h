// tests/unit/conf/temp_dir.h - a fresh folder with files in it, gone at the end of the test.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace holdfast::conf {

class TempDir {
 public:
  TempDir() {
    std::string name = std::filesystem::temp_directory_path() / "holdfast-conf-XXXXXX";
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    path_ = name;
  }
  TempDir(const TempDir&) = delete;
  TempDir& operator=(const TempDir&) = delete;
  ~TempDir() { std::filesystem::remove_all(path_); }

  std::string operator/(const std::string& name) const { return path_ + "/" + name; }
  // The path of a new file with these contents and permissions, whatever the umask.
  std::string write(const std::string& name, const std::string& contents, mode_t mode = 0600) {
    std::string path = *this / name;
    std::ofstream(path, std::ios::binary) << contents;
    EXPECT_EQ(chmod(path.c_str(), mode), 0);
    return path;
  }
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

}  // namespace holdfast::conf
