package org.winnow.op;

import static org.winnow.op.KvCache.PAGE_TOKENS;

import org.winnow.DType;

/**
 * How a page holds the rows of a plane. The order is that of {@code winnow/base/kv_layout.h}, which
 * has the formulas.
 */
enum KvLayout {
  ROWS,
  KEY_TILES,
  VALUE_TILES;

  /** The number of this layout in native contracts. */
  int code() {
    return ordinal();
  }

  /** Elements of a page of the plane. */
  long pageElements(KvPlane plane) {
    long width = this == KEY_TILES ? padded(plane) : plane.width();
    return PAGE_TOKENS * plane.numHeads() * width;
  }

  /** Index of an element in a page. */
  long index(KvPlane plane, int head, int slot, int column) {
    int pair = pair(plane);
    return switch (this) {
      case ROWS -> ((long) head * PAGE_TOKENS + slot) * plane.width() + column;
      case KEY_TILES ->
          (long) PAGE_TOKENS * (head * padded(plane) + (long) column / pair * pair)
              + (long) slot * pair
              + column % pair;
      case VALUE_TILES ->
          ((long) head * PAGE_TOKENS + slot / pair * pair) * plane.width()
              + (long) column * pair
              + slot % pair;
    };
  }

  /** Elements that one instruction multiplies and adds. */
  private static int pair(KvPlane plane) {
    return plane.element() == DType.BF16 ? 2 : 1;
  }

  private static long padded(KvPlane plane) {
    long pair = pair(plane);
    return (plane.width() + pair - 1) / pair * pair;
  }
}
