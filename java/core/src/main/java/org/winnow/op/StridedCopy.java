package org.winnow.op;

import static org.winnow.DType.F32;
import static org.winnow.internal.Internals.argument;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.StridedCopyArguments;

/**
 * Copies rows between two strided layouts, for instance from rows by token to rows by head.
 *
 * <pre>{@code
 * destination[destinationOffset + i * destinationOuter + j * destinationInner + c]
 *   = source[sourceOffset + i * sourceOuter + j * sourceInner + c]
 * for i in [0, outerSize), j in [0, innerSize), c in [0, width)
 * }</pre>
 *
 * Native contract: {@code strided_copy.h}.
 */
public final class StridedCopy {
  private StridedCopy() {}

  /**
   * Offsets and strides count elements of the flat tensors; none is negative.
   *
   * @param source f32, of any shape; a stride of 0 repeats a row
   * @param destination f32, of any shape; must not overlap {@code source}
   * @throws IllegalArgumentException if a type is wrong or the block does not lie inside a tensor;
   *     nothing has run then
   * @throws IllegalStateException if a tensor or the backend is closed
   */
  public static void run(
      Backend backend,
      Tensor source,
      long sourceOffset,
      long sourceOuter,
      long sourceInner,
      Tensor destination,
      long destinationOffset,
      long destinationOuter,
      long destinationInner,
      long outerSize,
      long innerSize,
      long width) {
    NativeCall call = NativeCall.enter();
    try {
      if (outerSize < 0 || innerSize < 0 || width < 0) {
        throw new IllegalArgumentException(
            "block must have no negative extent, found ["
                + outerSize
                + ", "
                + innerSize
                + ", "
                + width
                + "]");
      }
      boolean empty = outerSize == 0 || innerSize == 0 || width == 0;
      requireInside(
          "source",
          source,
          sourceOffset,
          sourceOuter,
          sourceInner,
          outerSize,
          innerSize,
          width,
          empty);
      requireInside(
          "destination",
          destination,
          destinationOffset,
          destinationOuter,
          destinationInner,
          outerSize,
          innerSize,
          width,
          empty);
      source.requireIn("source", backend.memory());
      destination.requireIn("destination", backend.memory());
      destination.requireDisjoint("destination", "source", source);
      if (empty) return;
      StridedCopyArguments arguments = call.arguments().stridedCopy;
      arguments
          .source(argument(source) + sourceOffset * Float.BYTES)
          .destination(argument(destination) + destinationOffset * Float.BYTES)
          .sourceOuterStride(sourceOuter)
          .sourceInnerStride(sourceInner)
          .destinationOuterStride(destinationOuter)
          .destinationInnerStride(destinationInner)
          .outerSize(outerSize)
          .innerSize(innerSize)
          .width(width);
      Internals.kernels(backend).stridedCopy(arguments);
    } finally {
      call.exit();
      Reference.reachabilityFence(source);
      Reference.reachabilityFence(destination);
    }
  }

  static void requireInside(
      String name,
      Tensor tensor,
      long offset,
      long outer,
      long inner,
      long outerSize,
      long innerSize,
      long width,
      boolean empty) {
    if (tensor.isClosed()) throw new IllegalStateException(name + " is closed");
    if (tensor.dtype() != F32)
      throw new IllegalArgumentException(name + " must be f32, found " + tensor.dtype());
    if (offset < 0 || outer < 0 || inner < 0) {
      throw new IllegalArgumentException(
          name
              + " must have no negative offset or stride, found "
              + offset
              + ", "
              + outer
              + ", "
              + inner);
    }
    if (empty) return;
    long end = end(offset, outer, inner, outerSize, innerSize, width);
    if (end > tensor.size()) {
      throw new IllegalArgumentException(
          "block must end inside "
              + name
              + " of "
              + tensor.size()
              + " elements, found "
              + (end == Long.MAX_VALUE ? "2^63 or more" : end));
    }
  }

  /**
   * Behind the last element of a block that has some; Long.MAX_VALUE if that is beyond counting.
   */
  private static long end(
      long offset, long outer, long inner, long outerSize, long innerSize, long width) {
    try {
      long last =
          Math.addExact(
              Math.addExact(offset, Math.multiplyExact(outerSize - 1, outer)),
              Math.multiplyExact(innerSize - 1, inner));
      return Math.addExact(last, width);
    } catch (ArithmeticException e) {
      return Long.MAX_VALUE;
    }
  }
}
