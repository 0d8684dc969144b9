package org.winnow.internal;

import java.lang.ref.Cleaner;
import org.jspecify.annotations.Nullable;

/**
 * Releases what an object owns, once: when the object is closed, or some time after it was
 * collected without having been closed.
 *
 * <p>A native call that got an address or a handle from the object may still run then. So the
 * release waits for the native calls that run, as {@code close()} does. Whoever keeps an address
 * beyond a call must keep the object, too.
 */
public final class Release {
  /** Its thread belongs to the JDK, keeps no class loader, and ends with this class. */
  private static final Cleaner CLEANER = Cleaner.create();

  private final Once once;
  private final Cleaner.Cleanable collected;

  /** What the cleaner keeps: the action, and nothing of the object. */
  private static final class Once implements Runnable {
    private @Nullable Runnable action;

    Once(Runnable action) {
      this.action = action;
    }

    synchronized void release() {
      if (action == null) return;
      action.run();
      action = null;
    }

    @Override
    public void run() {
      NativeCall.awaitRunning();
      release();
    }
  }

  /**
   * @param owner the object, which must keep the result
   * @param action must not refer to the owner, not even through other objects: it would never be
   *     collected
   */
  public Release(Object owner, Runnable action) {
    once = new Once(action);
    collected = CLEANER.register(owner, once);
  }

  /** Runs the action unless it has run. If the action throws, it may be tried again. */
  public void run() {
    once.release();
    collected.clean();
  }

  /** Runs an action after an object has been collected. It must not refer to the object. */
  public static void afterCollected(Object object, Runnable action) {
    CLEANER.register(object, action);
  }
}
