/**
 * Tensors, backends, and the exceptions of all packages.
 *
 * <p>These rules hold for every public method of the module:
 *
 * <ul>
 *   <li>A wrong argument gives {@link IllegalArgumentException}. An index that is out of range may
 *       give {@link IndexOutOfBoundsException}.
 *   <li>An object that is closed, or used in the wrong order, gives {@link IllegalStateException}.
 *   <li>Null gives {@link NullPointerException}, except where the documentation allows null. An
 *       object that only keeps its argument may give it at its first use.
 *   <li>Memory that the system refuses gives {@link OutOfMemoryError}.
 *   <li>What a backend does not support gives {@link UnsupportedOperationException}.
 *   <li>Files, budgets and the contents of logits give a subclass of {@link
 *       org.winnow.WinnowException}.
 *   <li>An exception that the caller's own code throws, for instance in an eviction policy, comes
 *       back as it is or as a cause.
 * </ul>
 *
 * <p>No argument ends the JVM, with one exception: a method whose documentation says "unsafe" takes
 * or gives an address, and trusts its caller with it.
 */
package org.winnow;
