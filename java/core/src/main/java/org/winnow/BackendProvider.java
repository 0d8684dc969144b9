package org.winnow;

import java.util.List;
import org.jspecify.annotations.Nullable;

/**
 * Opens a backend. {@link java.util.ServiceLoader} finds providers: a backend's jar names its
 * provider in {@code META-INF/services/org.winnow.BackendProvider} and in the {@code provides}
 * clause of its module. All methods except {@link #open} start nothing and throw nothing.
 */
public interface BackendProvider {
  /** The name for {@link Backend#require}, such as {@code "cpu"}. */
  String name();

  /**
   * {@link Backend#best} opens the available backend with the highest preference. The CPU has 0.
   */
  int preference();

  /** Null if this machine can run the backend, else one line with the reason and what to do. */
  @Nullable String unavailabilityCause();

  /**
   * One line per device that the backend can run on; empty if there is no choice. Call it only
   * while the backend is available.
   */
  default List<String> devices() {
    return List.of();
  }

  /** Opens a new backend with default settings. The caller closes it. */
  Backend open();
}
