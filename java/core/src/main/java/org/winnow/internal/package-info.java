/** The interface between operations and backends; exported to {@code org.winnow.cuda} only. */
@NullMarked
package org.winnow.internal;

import org.jspecify.annotations.NullMarked;
