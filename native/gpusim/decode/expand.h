#pragma once

#include "ptx/syntax.h"

namespace winnow::gpusim {

// The entry with every call replaced by the body of the function called, which gets registers and variables of its own; parameters
// are shared with the caller. Calls of functions without a body stay (vprintf, __assertfail). PtxError on recursion.
Function expand_calls(const SyntaxTree& tree, const Function& entry);

}  // namespace winnow::gpusim
