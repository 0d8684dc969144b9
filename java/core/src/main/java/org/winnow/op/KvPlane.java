package org.winnow.op;

import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;

/**
 * What a {@link KvCache} holds per token and layer under one name: a row of {@code width} elements
 * for each head. Keys are one plane, values another; a cache of latents has one plane for both.
 *
 * @param name how messages call it
 * @param numHeads rows per token
 * @param width elements of a row
 * @param element f32, bf16 or f16; rows are rounded to it, to nearest even, when they are appended
 */
public record KvPlane(String name, int numHeads, int width, DType element) {
  /**
   * @throws IllegalArgumentException naming the number that is not positive, or an element that is
   *     not floating
   */
  public KvPlane {
    requirePositive("numHeads of " + name, numHeads);
    requirePositive("width of " + name, width);
    if (!element.isFloating())
      throw new IllegalArgumentException(
          "element of " + name + " must be f32, bf16 or f16, found " + element);
  }

  /** Bytes that one token needs in one layer. */
  public long bytesPerToken() {
    return (long) numHeads * width * element.sizeBytes();
  }

  // Written out: what Java generates keeps the last type of a field that it compared, and so its
  // class
  // loader, for good.
  @Override
  public boolean equals(@Nullable Object other) {
    return other instanceof KvPlane plane
        && name.equals(plane.name)
        && numHeads == plane.numHeads
        && width == plane.width
        && element == plane.element;
  }

  @Override
  public int hashCode() {
    return Objects.hash(name, numHeads, width, element);
  }

  static void requirePositive(String name, int value) {
    if (value < 1) throw new IllegalArgumentException(name + " must be positive, found " + value);
  }
}
