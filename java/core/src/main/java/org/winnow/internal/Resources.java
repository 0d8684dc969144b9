package org.winnow.internal;

import java.util.ArrayDeque;
import java.util.Deque;
import org.jspecify.annotations.Nullable;

/**
 * The resources that an object must close. {@link #close} closes all of them, in reverse order of
 * opening, even if some of them throw. A constructor that fails midway closes what it has opened so
 * far:
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
  private final Deque<AutoCloseable> open = new ArrayDeque<>(); // the last one opened is first

  /** Adds a resource and returns it. */
  public synchronized <T extends AutoCloseable> T keep(T opened) {
    open.push(opened);
    return opened;
  }

  /** Closes all of these that are not null, in reverse order, even if some of them throw. */
  public static void closeAll(@Nullable AutoCloseable... all) {
    Resources open = new Resources();
    for (@Nullable AutoCloseable one : all) if (one != null) open.keep(one);
    open.close();
  }

  /**
   * Closes everything after a failure. Exceptions from closing are added to the failure as
   * suppressed.
   */
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
   * Closes everything, then throws the first exception from closing, with later ones suppressed in
   * it. May be called twice and from several threads; each call waits until everything is closed.
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
            new IllegalStateException(e); // no resource of Winnow throws a checked exception
        closeAfter(unexpected);
        throw unexpected;
      }
    }
  }
}
