package org.winnow.cli;

/**
 * Ends a command with a one-line message and an exit code, for errors that are not exceptions of
 * the library.
 */
final class CommandException extends RuntimeException {
  private static final long serialVersionUID = 1L;

  private final int exitCode;

  CommandException(int exitCode, String message) {
    super(message);
    this.exitCode = exitCode;
  }

  int exitCode() {
    return exitCode;
  }
}
