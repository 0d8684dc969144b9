package org.winnow;

import java.util.List;

/**
 * Opens a backend. Providers are found with {@link java.util.ServiceLoader}: the jar of a backend
 * names its own in {@code META-INF/services/org.winnow.BackendProvider} and in its module's {@code
 * provides}. Asking one its name or whether it is available starts nothing and throws nothing.
 */
public interface BackendProvider {
  /** As {@link Backend#require} takes it: {@code "cpu"}. */
  String name();

  /** {@link Backend#best} takes the available backend with the highest; the CPU's is 0. */
  int preference();

  /** Null if this machine can run the backend, else one line with the reason and what to do. */
  String unavailabilityCause();

  /**
   * One line for each device that it can run on, where there is a choice; while it is available.
   */
  default List<String> devices() {
    return List.of();
  }

  /** A new backend with its defaults, the caller's to close. */
  Backend open();
}
