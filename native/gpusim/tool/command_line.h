// What `gpusim run` is asked to do.
#pragma once

#include <string>
#include <vector>

#include "gpusim.h"
#include "tool/buffer.h"

namespace winnow::gpusim {

// One kernel argument: a scalar with its bytes, or the address of a buffer, or the address of a table of such addresses.
struct Argument {
  std::vector<uint8_t> scalar;      // empty: an address
  std::vector<std::string> places;  // NAME, NAME+BYTES or 0; one, unless it is a table
  bool table = false;
};

struct Dump {
  std::string buffer;
  uint64_t count;
};
struct Save {
  std::string buffer, file;
};

struct RunCommand {
  std::string ptx_file, kernel;
  Dim3 grid, block;
  uint32_t dynamic_shared_bytes = 0;
  Options options;
  bool json = false;
  std::vector<Buffer> buffers;
  std::vector<Argument> arguments;
  std::vector<Dump> dumps;
  std::vector<Save> saves;
};

extern const char* const kHelp;

// The words after `run`. std::invalid_argument with what is wrong.
RunCommand parse_run(const std::vector<std::string>& words);

}  // namespace winnow::gpusim
