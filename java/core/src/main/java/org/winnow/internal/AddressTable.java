package org.winnow.internal;

import java.util.function.Function;

/**
 * The table of addresses inside an {@code org.winnow.op.ExpertMatrices}, for a cache that keeps
 * weights in slots of its own. That class hands the access over when it is initialised.
 */
public interface AddressTable {
  /**
   * Makes an expert resident, or absent. The memory must stay valid until it is absent and no
   * operation runs on it.
   *
   * @param addresses one per plane of the weight, then of the up weight (0 if not gated), then of
   *     the bias and of the up bias; 0 where the expert has none. All 0: absent
   */
  void put(int expert, long[] addresses);

  /** What was put: the entry of an expert's addresses. */
  long get(int expert, int entry);

  /** Of an {@code ExpertMatrices}. */
  static AddressTable of(Object expertMatrices) {
    return Access.ofMatrices.apply(expertMatrices);
  }

  /** What {@code ExpertMatrices} sets. */
  final class Access {
    private static Function<Object, AddressTable> ofMatrices;

    private Access() {}

    public static void set(Function<Object, AddressTable> given) {
      ofMatrices = given;
    }
  }
}
