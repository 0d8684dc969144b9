/** Dense layers over weights of the caller. */
@NullMarked
package org.winnow.layer;

import org.jspecify.annotations.NullMarked;
