#pragma once

#include <memory>
#include <vector>

#include "decode/encoder.h"

namespace winnow::gpusim {

// Returns the entry as a program. Throws PtxError for the first instruction that is not supported exactly. If `refused`
// is given, all such errors are added to it instead, and the result is null if there are any.
std::unique_ptr<Program> decode(const SyntaxTree& tree, const Function& entry, const Layout& module_layout,
                                std::vector<PtxError>* refused = nullptr);

}  // namespace winnow::gpusim
