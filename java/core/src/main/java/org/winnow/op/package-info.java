/** Operations: each checks its arguments once and runs one kernel of a backend. */
@NullMarked
package org.winnow.op;

import org.jspecify.annotations.NullMarked;
