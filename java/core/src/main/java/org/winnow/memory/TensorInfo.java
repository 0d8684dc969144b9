package org.winnow.memory;

import java.nio.file.Path;
import java.util.Arrays;
import org.winnow.DType;

/**
 * Where a tensor of a checkpoint lies. Row-major, little-endian, one contiguous range.
 *
 * @param name the tensor's name
 * @param storedType the type as the file calls it: {@code "BF16"}, {@code "F8_E4M3"}
 * @param dtype the type to compute with, or null if Winnow does not compute with the stored one
 * @param shape the extents, outermost first
 * @param file the file
 * @param offset where in the file its first byte lies
 * @param sizeBytes bytes of the range
 */
public record TensorInfo(
    String name,
    String storedType,
    DType dtype,
    long[] shape,
    Path file,
    long offset,
    long sizeBytes) {
  public TensorInfo {
    shape = shape.clone();
  }

  @Override
  public long[] shape() {
    return shape.clone();
  }

  /**
   * Number of elements.
   *
   * @throws IllegalArgumentException if it is 2^63 or more
   */
  public long size() {
    long size = 1;
    for (long extent : shape) {
      if (extent > 0 && size > Long.MAX_VALUE / extent) {
        throw new IllegalArgumentException(
            "tensor "
                + name
                + " must hold less than 2^63 elements, found "
                + Arrays.toString(shape));
      }
      size *= extent;
    }
    return size;
  }

  @Override
  public boolean equals(Object other) {
    return other instanceof TensorInfo that
        && name.equals(that.name)
        && storedType.equals(that.storedType)
        && dtype == that.dtype
        && Arrays.equals(shape, that.shape)
        && file.equals(that.file)
        && offset == that.offset
        && sizeBytes == that.sizeBytes;
  }

  @Override
  public int hashCode() {
    return name.hashCode() * 31 + Long.hashCode(offset);
  }

  @Override
  public String toString() {
    return name
        + ": "
        + storedType
        + Arrays.toString(shape)
        + " at "
        + file
        + ":"
        + offset
        + " ("
        + sizeBytes
        + " bytes)";
  }
}
