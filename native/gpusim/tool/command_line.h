// What `gpusim run` is asked to do.
#pragma once

#include <string>
#include <vector>

#include "gpusim.h"
#include "tool/buffer.h"

namespace winnow::gpusim {

// One kernel argument: a scalar with its bytes, the address of a buffer, the address of a table of such addresses, or a
// struct of all these.
struct Argument {
  std::vector<uint8_t> scalar;      // empty: an address
  std::vector<std::string> places;  // NAME, NAME+BYTES or 0; one, unless it is a table
  bool table = false;
  std::vector<Argument> fields;  // of a struct, which is passed by value; nothing else is set then
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
  int num_timed_runs = 0;  // 0: one run, not timed
  std::vector<Buffer> buffers;
  std::vector<Argument> arguments;
  std::vector<Dump> dumps;
  std::vector<Save> saves;
};

extern const char* const kHelp;

// The words after `run`. std::invalid_argument with what is wrong.
RunCommand parse_run(const std::vector<std::string>& words);

}  // namespace winnow::gpusim
