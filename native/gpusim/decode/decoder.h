#pragma once

#include <memory>
#include <vector>

#include "decode/encoder.h"

namespace winnow::gpusim {

// The entry as a program. PtxError at the first instruction that is not supported exactly; with `refused`, all of them are added to it
// instead, and the result is null when there were any.
std::unique_ptr<Program> decode(const SyntaxTree& tree, const Function& entry, const Layout& module_layout,
                                std::vector<PtxError>* refused = nullptr);

}  // namespace winnow::gpusim
