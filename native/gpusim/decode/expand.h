#pragma once

#include "ptx/syntax.h"

namespace winnow::gpusim {

// Returns the entry with every call replaced by the body of the function. The body gets new registers and variables; it
// shares its parameters with the caller. Calls of functions without a body (vprintf, __assertfail) stay. Throws
// PtxError on recursion.
Function expand_calls(const SyntaxTree& tree, const Function& entry);

}  // namespace winnow::gpusim
