package org.winnow;

/** A backend that was asked for cannot run here; the message says why. */
public final class BackendUnavailableException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final String backend;
  private final String unavailabilityCause;

  public BackendUnavailableException(String backend, String unavailabilityCause) {
    super("backend " + backend + " is unavailable: " + unavailabilityCause);
    this.backend = backend;
    this.unavailabilityCause = unavailabilityCause;
  }

  /** Its name, as it was asked for. */
  public String backend() {
    return backend;
  }

  /** As {@link BackendProvider#unavailabilityCause} gives it. */
  public String unavailabilityCause() {
    return unavailabilityCause;
  }
}
