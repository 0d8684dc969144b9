package org.winnow.cli;

import java.io.IOException;
import java.nio.file.AccessDeniedException;
import java.nio.file.FileSystemException;
import java.nio.file.NoSuchFileException;
import java.nio.file.NotDirectoryException;
import java.nio.file.Path;
import org.winnow.BackendUnavailableException;
import org.winnow.BudgetException;
import org.winnow.ContextLengthException;
import org.winnow.WinnowException;
import org.winnow.workload.WrongResultException;

/** The exit codes of the command. {@code --help} prints {@link #list}. */
final class ExitCode {
  static final int DONE = 0;
  static final int CHECK_FAILED = 1;
  static final int USAGE = 2;
  static final int BAD_INPUT = 3;
  static final int TOO_SMALL = 4;
  static final int MISSING = 5;
  static final int INTERNAL = 70;
  static final int CANCELLED = 130;
  static final int BROKEN_PIPE = 141;

  private static final String[] LIST = {
    DONE + ":done",
    CHECK_FAILED + ":a check failed: results differ (verify, bench, demo)",
    USAGE + ":wrong usage",
    BAD_INPUT
        + ":bad input: a file is missing, damaged, or in a format that is not supported;"
        + " or output cannot be written",
    TOO_SMALL + ":a budget, the context or the memory is too small",
    MISSING + ":a requirement is not installed: natives, a tokenizer, a tool for building",
    INTERNAL + ":a defect of Winnow; --verbose shows where",
    CANCELLED + ":cancelled by Ctrl-C; generate prints what was done until then",
    BROKEN_PIPE + ":the reader of the output has exited",
  };

  private ExitCode() {}

  /** Codes and meanings in the form that picocli expects. */
  static String[] list() {
    return LIST.clone();
  }

  /** The exit code for a command that failed with this exception. */
  static int of(Throwable failure) {
    if (failure instanceof CommandException) return ((CommandException) failure).exitCode();
    if (failure instanceof WrongResultException) return CHECK_FAILED;
    boolean tooSmall =
        failure instanceof BudgetException
            || failure instanceof ContextLengthException
            || failure instanceof OutOfMemoryError;
    if (tooSmall) return TOO_SMALL;
    if (failure instanceof LinkageError || failure instanceof BackendUnavailableException)
      return MISSING;
    if (failure instanceof WinnowException || failure instanceof IOException) return BAD_INPUT;
    return INTERNAL;
  }

  /** A one-line message, without the name of this program. */
  static String message(Throwable failure) {
    String message = failure.getMessage();
    if (failure instanceof FileSystemException e) return e.getFile() + ": " + reason(e);
    if (failure instanceof OutOfMemoryError) return "out of memory: " + message;
    boolean explains =
        failure instanceof CommandException
            || failure instanceof WinnowException
            || failure instanceof LinkageError;
    String text = explains && message != null ? message : failure.toString();
    return text.replaceAll("\\s*\\R\\s*", " ");
  }

  /** Why a file cannot be read or written, without the name of the file. */
  static String reason(IOException failure) {
    if (failure instanceof NoSuchFileException) return "no such file or directory";
    if (failure instanceof AccessDeniedException) return "permission denied";
    if (failure instanceof NotDirectoryException) return "not a directory";
    if (failure instanceof FileSystemException e && e.getReason() != null) return e.getReason();
    return failure.getClass() == IOException.class && failure.getMessage() != null
        ? failure.getMessage()
        : failure.toString();
  }

  /** The exception for output that cannot be written. */
  static CommandException cannotBeWritten(Path file, IOException failure) {
    return new CommandException(BAD_INPUT, file + ": cannot be written: " + reason(failure));
  }
}
