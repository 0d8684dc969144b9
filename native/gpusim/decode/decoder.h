#pragma once

#include <memory>

#include "decode/encoder.h"

namespace winnow::gpusim {

// The entry as a program. PtxError at the first instruction that is not supported exactly.
std::unique_ptr<Program> decode(const SyntaxTree& tree, const Function& entry, const Layout& module_layout);

}  // namespace winnow::gpusim
