/** Tensors, the memory that they lie in, backends and the exceptions of all packages. */
@NullMarked
package org.winnow;

import org.jspecify.annotations.NullMarked;
