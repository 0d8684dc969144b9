/** The winnow command. */
@NullMarked
package org.winnow.cli;

import org.jspecify.annotations.NullMarked;
