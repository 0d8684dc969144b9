// Every function that the presets import is there, and answers.
#include <dlfcn.h>

#include <fstream>

#include "driver_fixture.h"

namespace winnow::gpusim {
namespace {

class DriverSymbolsTest : public DriverTest {};

TEST_F(DriverSymbolsTest, EveryImportedFunctionIsExported) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(nullptr, driver);
  std::ifstream list(WINNOW_DRIVER_SYMBOLS);
  int num_symbols = 0;
  for (std::string symbol; std::getline(list, symbol); ++num_symbols) {
    EXPECT_NE(nullptr, dlsym(driver, symbol.c_str())) << symbol;
  }
  EXPECT_EQ(464, num_symbols);
}

TEST_F(DriverSymbolsTest, WhatIsNotImplementedSaysSo) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(nullptr, driver);
  const auto call = reinterpret_cast<int (*)()>(dlsym(driver, "cuMemPoolTrimTo"));
  EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, call());
  EXPECT_TRUE(mentions(reports(), "cuMemPoolTrimTo = 801: the stand-in does not implement it"));
}

TEST_F(DriverSymbolsTest, TheRuntimeIsANameWithItsVersion) {
  void* runtime = dlopen(WINNOW_RUNTIME_LIBRARY, RTLD_NOW);
  ASSERT_NE(nullptr, runtime) << dlerror();
  EXPECT_NE(nullptr, dlvsym(runtime, "cudaRuntimeGetVersion", "libcudart.so.13"));
}

}  // namespace
}  // namespace winnow::gpusim
