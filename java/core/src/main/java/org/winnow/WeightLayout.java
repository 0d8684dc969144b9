package org.winnow;

import static org.winnow.Tensor.ANY;

import java.util.Locale;
import org.winnow.internal.NativeCall;
import org.winnow.internal.NativeCpu;

/**
 * How the elements of a weight matrix [rows, columns] follow each other in memory. Both layouts
 * take the same number of bytes. {@code native/include/winnow/base/weight_layout.h} describes them
 * to the byte.
 */
public enum WeightLayout {
  /** Row by row, as files store a matrix. */
  ROWS,
  /**
   * Groups of 16 rows side by side, so that a vector register holds the same column of many rows.
   * The CPU multiplies such matrices faster. Devices do not read them.
   */
  PANELS;

  /**
   * Arranges a matrix that lies in rows, in place. Afterwards it is for {@link
   * Matrix#of(WeightLayout, Tensor)} with this layout only: as a tensor, its elements are in
   * another order.
   *
   * @param weight [rows, columns] row by row, f32, bf16 or f16; for panels in host memory
   * @throws IllegalArgumentException naming the shape, type or memory that is wrong
   * @throws IllegalStateException if it is closed
   */
  public void arrange(Tensor weight) {
    weight.requireFloating("weight", ANY, ANY);
    if (this == ROWS) return;
    weight.requireIn("weight", TensorMemory.host());
    NativeCall call = NativeCall.enter();
    try {
      NativeCpu.memory_arrange_in_panels(
          weight.openAddress("weight"),
          weight.dtype().sizeBytes(),
          WeightFormat.of(weight.dtype()).panelElements(),
          weight.dim(0),
          weight.dim(1));
    } finally {
      call.exit();
    }
  }

  /** The number of this layout in native contracts. */
  public int code() {
    return ordinal();
  }

  @Override
  public String toString() {
    return name().toLowerCase(Locale.ROOT);
  }
}
