package org.winnow;

/** The requested backend cannot run here. The message gives the reason. */
public final class BackendUnavailableException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final String backend;
  private final String unavailabilityCause;

  public BackendUnavailableException(String backend, String unavailabilityCause) {
    super("backend " + backend + " is unavailable: " + unavailabilityCause);
    this.backend = backend;
    this.unavailabilityCause = unavailabilityCause;
  }

  /** The requested name. */
  public String backend() {
    return backend;
  }

  /** The reason, from {@link BackendProvider#unavailabilityCause}. */
  public String unavailabilityCause() {
    return unavailabilityCause;
  }
}
