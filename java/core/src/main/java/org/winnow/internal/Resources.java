package org.winnow.internal;

import java.util.ArrayDeque;
import java.util.Deque;

/**
 * What an object holds open. All of it is closed, last opened first, whatever one of them throws. A
 * constructor that fails midway closes what it has got so far:
 *
 * <pre>{@code
 * Resources open = new Resources();
 * try {
 *   first = open.keep(new First());
 *   second = open.keep(new Second());
 * } catch (RuntimeException | Error e) {
 *   open.closeAfter(e);
 *   throw e;
 * }
 * }</pre>
 */
public final class Resources implements AutoCloseable {
  private final Deque<AutoCloseable> open = new ArrayDeque<>(); // last opened first

  public synchronized <T extends AutoCloseable> T keep(T opened) {
    open.push(opened);
    return opened;
  }

  /** Closes all of these, whatever one of them throws; null is nothing. */
  public static void closeAll(AutoCloseable... all) {
    Resources open = new Resources();
    for (AutoCloseable one : all) if (one != null) open.keep(one);
    open.close();
  }

  /** What closing throws is added to the reason for it. */
  public synchronized void closeAfter(Throwable reason) {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (Exception | Error e) {
        if (e != reason) reason.addSuppressed(e);
      }
    }
  }

  /**
   * Throws the first of what closing throws, the others suppressed in it. May be called twice, also
   * from several threads: all of them wait.
   */
  @Override
  public synchronized void close() {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (RuntimeException | Error e) {
        closeAfter(e);
        throw e;
      } catch (Exception e) {
        IllegalStateException unexpected =
            new IllegalStateException(e); // ours throw no checked one
        closeAfter(unexpected);
        throw unexpected;
      }
    }
  }
}
