package org.winnow.fuzz;

import java.util.Set;

/**
 * The methods that take or give an address, by {@link ExportedApi#key}. A wrong address can end the JVM, so their Javadoc says "unsafe". {@link
 * UnsafeMethodsTest} holds this list; the fuzzer gives them memory of its own.
 */
final class UnsafeMethods {
  static final Set<String> ALL =
      Set.of(
          "Tensor.wrap(TensorMemory,long,DType,long[])",
          "Tensor.wrap(long,DType,long[])");

  private UnsafeMethods() {}
}
