// Every function that the presets import is there, and answers.
#include <dlfcn.h>
#include <link.h>

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

// A stub is weak, what is implemented is not.
bool is_stub(void* function) {
  Dl_info info;
  ElfW(Sym)* symbol = nullptr;
  EXPECT_NE(0, dladdr1(function, &info, reinterpret_cast<void**>(&symbol), RTLD_DL_SYMENT));
  return symbol != nullptr && ELF64_ST_BIND(symbol->st_info) == STB_WEAK;
}

TEST_F(DriverSymbolsTest, WhatIsNotImplementedSaysSo) {
  void* driver = dlopen("libcuda.so.1", RTLD_NOW | RTLD_NOLOAD);
  ASSERT_NE(nullptr, driver);
  EXPECT_TRUE(is_stub(dlsym(driver, "cuMemPoolTrimTo")));
  EXPECT_FALSE(is_stub(dlsym(driver, "cuLaunchKernel")));
  std::ifstream list(WINNOW_DRIVER_SYMBOLS);
  int num_stubs = 0;
  for (std::string name; std::getline(list, name);) {
    void* function = dlsym(driver, name.c_str());
    if (!is_stub(function)) continue;
    ++num_stubs;
    EXPECT_EQ(CUDA_ERROR_NOT_SUPPORTED, reinterpret_cast<int (*)()>(function)()) << name;
    EXPECT_TRUE(mentions(reports(), name + " = 801: the stand-in does not implement it")) << name;
  }
  EXPECT_GT(num_stubs, 300);
}

TEST_F(DriverSymbolsTest, TheRuntimeIsANameWithItsVersion) {
  void* runtime = dlopen(WINNOW_RUNTIME_LIBRARY, RTLD_NOW);
  ASSERT_NE(nullptr, runtime) << dlerror();
  EXPECT_NE(nullptr, dlvsym(runtime, "cudaRuntimeGetVersion", "libcudart.so.13"));
}

}  // namespace
}  // namespace winnow::gpusim
