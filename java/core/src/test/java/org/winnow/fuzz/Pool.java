package org.winnow.fuzz;

import java.util.ArrayList;
import java.util.List;
import java.util.Random;

/**
 * What earlier calls returned, for later calls to use: a bounded number of objects, the two lanes
 * of a fuzzer share them. An object that has to make room is closed.
 */
final class Pool {
  private static final int MAX_OBJECTS = 400;
  private static final int MAX_OF_A_CLASS = 40;
  private static final int NEWEST = 16;

  private final List<Object> objects = new ArrayList<>();

  synchronized void add(Object object, Random random) {
    if (object == null) return;
    for (Object present : objects) {
      if (present == object) return;
    }
    objects.add(object);
  }

  /** An object of this type, closed or open; null if there is none. */
  synchronized Object any(Class<?> type, Random random) {
    if (objects.isEmpty()) return null;
    int size = objects.size();
    int start = random.nextInt(size);
    // half of the time one of the newest: calls build on each other, and lanes meet
    if (size > NEWEST && random.nextBoolean()) start = size - 1 - random.nextInt(NEWEST);
    for (int i = 0; i < size; i++) {
      Object object = objects.get((start + i) % size);
      if (type.isInstance(object)) return object;
    }
    return null;
  }

  /** Whom the pool gives up now, for the caller to close without the pool's lock. */
  synchronized List<Object> overflow(Random random) {
    List<Object> gone = new ArrayList<>();
    Object newest = objects.isEmpty() ? null : objects.get(objects.size() - 1);
    if (newest != null) {
      List<Object> same = new ArrayList<>();
      for (Object object : objects) {
        if (object.getClass() == newest.getClass()) same.add(object);
      }
      int most = newest instanceof org.winnow.Tensor ? 4 * MAX_OF_A_CLASS : MAX_OF_A_CLASS;
      if (same.size() > most) gone.add(same.get(random.nextInt(same.size())));
    }
    if (objects.size() > MAX_OBJECTS) gone.add(objects.get(random.nextInt(objects.size())));
    for (Object object : gone) objects.removeIf(present -> present == object);
    return gone;
  }
}
