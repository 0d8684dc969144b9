package org.winnow.fuzz;

import java.lang.ref.Reference;
import java.lang.ref.ReferenceQueue;
import java.lang.ref.WeakReference;
import java.util.Collection;
import java.util.HashSet;
import java.util.Set;

/**
 * Which objects were made with null or with hostile code: a later NullPointerException of theirs is
 * the caller's, as the documentation of {@code org.winnow} has it. Objects are known by identity
 * for as long as they live.
 */
final class Taint {
  private final Set<Identity> tainted = new HashSet<>();
  private final ReferenceQueue<Object> collected = new ReferenceQueue<>();

  private static final class Identity extends WeakReference<Object> {
    private final int hash;

    Identity(Object object, ReferenceQueue<Object> collected) {
      super(object, collected);
      hash = System.identityHashCode(object);
    }

    @Override
    public int hashCode() {
      return hash;
    }

    @Override
    public boolean equals(Object other) {
      if (this == other) return true;
      Object object = get();
      return object != null && other instanceof Identity identity && identity.refersTo(object);
    }
  }

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
    return isMarked(value);
  }

  /** That hostile code is inside. */
  synchronized void mark(Object object) {
    add(object);
  }

  synchronized boolean isMarked(Object object) {
    return tainted.contains(new Identity(object, null));
  }

  /** After a call that gave a value: what it made, or changed, has its arguments inside. */
  synchronized void pass(Object[] all, Object receiver, Object result) {
    if (!hasNull(all)) return;
    forgetCollected();
    add(result);
    add(receiver);
  }

  private void add(Object object) {
    if (object == null || object instanceof org.winnow.Tensor) return;
    if (object instanceof org.winnow.Backend || object instanceof org.winnow.TensorMemory) return;
    if (object.getClass().getPackageName().startsWith("org.winnow"))
      tainted.add(new Identity(object, collected));
  }

  private void forgetCollected() {
    for (Reference<?> gone = collected.poll(); gone != null; gone = collected.poll())
      tainted.remove(gone);
  }
}
