package org.winnow.op;

import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.internal.GroupedGemmArguments;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.RawMemory;

/** Addresses that operations hand to kernels, for tests that look at what kernels do with them. */
public final class DeviceTables {
  private DeviceTables() {}

  /** Address of the layer's keys, or keys and values, in one page of a cache of one layer. */
  public static long keyPage(KvCache cache, int page) {
    return cache.pages().table(0).getLong(page);
  }

  /** The same of its values. */
  public static long valuePage(KvCache cache, int page) {
    return cache.pages().table(cache.planes().size() - 1).getLong(page);
  }

  /** Index of an element in a page of a cache of one layer, whose planes lie one after another. */
  public static int index(KvCache cache, int plane, int head, int slot, int column) {
    return Math.toIntExact(cache.pages().index(plane, head, slot, column));
  }

  /** The first entry of the table of weights as kernels get it, which is brought there first. */
  public static long firstWeight(ExpertMatrices weights) {
    RawMemory host = Internals.raw(TensorMemory.host()); // of which nothing is awaited
    long read = host.allocate(Long.BYTES);
    NativeCall call = NativeCall.enter();
    try {
      GroupedGemmArguments arguments = call.arguments().groupedGemm[0];
      weights.describe(arguments);
      Internals.raw(weights.memory()).copyToHost(read, arguments.weights(), Long.BYTES);
      return Tensor.wrap(read, DType.I64, 1).getLong(0);
    } finally {
      call.exit();
      host.free(read, Long.BYTES);
    }
  }
}
