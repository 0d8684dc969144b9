package org.winnow.fuzz;

import java.util.Collection;
import java.util.IdentityHashMap;
import java.util.Map;

/**
 * Which objects were made with null or with hostile code: a later NullPointerException of theirs is
 * the caller's, as the documentation of {@code org.winnow} has it.
 */
final class Taint {
  private static final int MOST = 20_000;
  private final Map<Object, Boolean> tainted = new IdentityHashMap<>();

  synchronized boolean hasNull(Object[] all) {
    for (Object value : all) {
      if (isTainted(value)) return true;
    }
    return false;
  }

  private boolean isTainted(Object value) {
    if (value == null || value instanceof java.lang.reflect.Proxy) return true;
    if (value instanceof Object[] array) return hasNull(array);
    if (value instanceof Collection<?> list) return hasNull(list.toArray());
    return tainted.containsKey(value);
  }

  /** That hostile code is inside. */
  synchronized void mark(Object object) {
    add(object);
  }

  synchronized boolean isMarked(Object object) {
    return tainted.containsKey(object);
  }

  /** After a call that gave a value: what it made, or changed, has its arguments inside. */
  synchronized void pass(Object[] all, Object receiver, Object result) {
    if (!hasNull(all)) return;
    if (tainted.size() > MOST) tainted.clear();
    add(result);
    add(receiver);
  }

  private void add(Object object) {
    if (object == null || object instanceof org.winnow.Tensor) return;
    if (object instanceof org.winnow.Backend || object instanceof org.winnow.TensorMemory) return;
    if (object.getClass().getPackageName().startsWith("org.winnow")) tainted.put(object, true);
  }
}
