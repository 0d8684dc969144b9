package org.winnow.fuzz;

import java.util.Set;
import java.util.regex.Pattern;

/**
 * The methods that take or give an address, or a buffer that outlives its memory, by {@link
 * ExportedApi#key}. A wrong address can end the JVM, so their Javadoc says "unsafe". {@link
 * UnsafeMethodsTest} holds this list; the fuzzer gives them memory of its own.
 */
final class UnsafeMethods {
  static final Set<String> ALL =
      Set.of(
          "RangeReader.read(long,long,long)",
          "Tensor.address()",
          "Tensor.asByteBuffer()",
          "Tensor.wrap(TensorMemory,long,DType,long[])",
          "Tensor.wrap(long,DType,long[])");

  /**
   * Methods that are still public and still unchecked: the fuzzer leaves them out. What is gone
   * from the API needs no line here; {@link UnsafeMethodsTest} fails for as long as one is left.
   */
  static final Pattern UNCHECKED =
      Pattern.compile(
          "(Cpu)?Backend\\.(add|attention|clamp|embedding|expertPlan|groupedGemm|kvAppend"
              + "|layerNorm|moeCombine|rmsNorm|rope|sample|stridedCopy|topKRouter"
              + "|topKRouterWithPlan)\\(.*"
              + "|KvCache\\.(keyPages|valuePages|positionCell)\\(.*"
              + "|ExpertMatrices\\.(set|weightTable|upTable|biasTable|upBiasTable)\\(.*"
              + "|TensorMemory\\.(allocate|free|copyFromHost|copyToHost|copyWithin)\\(.*"
              + "|TransferQueue\\..*");

  private UnsafeMethods() {}

  static boolean isUnchecked(String key) {
    return UNCHECKED.matcher(key).matches();
  }
}
