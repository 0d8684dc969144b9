package org.winnow.memory;

import java.util.Arrays;

/** First in, first out; a ring that grows. */
final class IntQueue {
  private int[] items = new int[16];
  private int head;
  private int size;

  void add(int item) {
    if (size == items.length) {
      int[] grown = Arrays.copyOf(items, 2 * size);
      System.arraycopy(items, 0, grown, size, head); // the wrapped part follows the rest
      items = grown;
    }
    items[(head + size++) % items.length] = item;
  }

  /** The oldest item, or -1. */
  int poll() {
    if (size == 0) return -1;
    int item = items[head];
    head = (head + 1) % items.length;
    size--;
    return item;
  }
}
