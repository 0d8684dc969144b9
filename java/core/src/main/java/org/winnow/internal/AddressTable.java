package org.winnow.internal;

import java.util.Objects;
import java.util.function.Function;
import org.jspecify.annotations.Nullable;

/**
 * The table of weight addresses inside an {@code org.winnow.op.ExpertMatrices}. An expert cache,
 * which keeps weights in its own slots, writes it directly. {@code ExpertMatrices} provides the
 * access in its static initialiser.
 */
public interface AddressTable {
  /**
   * Makes experts resident or absent. The memory of a resident expert must stay valid until the
   * expert is absent again and no operation uses it.
   *
   * @param count number of experts to use
   * @param addresses for each expert in turn, one address per plane of the weight, then one per
   *     plane of the up weight (0 if not gated), then the bias and the up bias (0 if the expert has
   *     none). If all are 0, the expert is absent
   */
  void put(int[] experts, int count, long[] addresses);

  /** Makes the matrices keep whoever owns the memory of the addresses that are put. */
  void keep(Object owner);

  /** Returns one entry of the addresses that were put for an expert. */
  long get(int expert, int entry);

  /** The table of an {@code ExpertMatrices}. */
  static AddressTable of(Object expertMatrices) {
    return Objects.requireNonNull(Access.ofMatrices).apply(expertMatrices);
  }

  /** Holds the function that {@code ExpertMatrices} provides. */
  final class Access {
    private static @Nullable Function<Object, AddressTable> ofMatrices;

    private Access() {}

    public static void set(Function<Object, AddressTable> given) {
      ofMatrices = given;
    }
  }
}
