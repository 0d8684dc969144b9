package org.winnow.internal;

import java.util.Locale;
import java.util.regex.Pattern;

/**
 * Result of an operation: the values of {@code winnow_status} in {@code winnow/base/operation.h}
 * that do not become exceptions. {@link Arguments#detail} is the number that the contract defines
 * for the status.
 */
public enum Status {
  /** All outputs are written. */
  DONE,
  /** The contract forbids the contents of an input; the detail locates them. */
  REFUSED,
  /** A device is still running the operation, so the number that it returns is not known yet. */
  NOT_WAITED;

  /**
   * The status of a native call.
   *
   * @throws IllegalArgumentException with the native message, if a value is outside its range or
   *     the operation does not support a type
   * @throws OutOfMemoryError if the operation cannot allocate its working memory
   * @throws IllegalStateException with the native message, for any other failure
   */
  static Status of(int code) {
    return switch (code) {
      case NativeCodes.DONE -> DONE;
      case NativeCodes.REFUSED -> REFUSED;
      case NativeCodes.INVALID_ARGUMENT, NativeCodes.OUT_OF_RANGE ->
          throw new IllegalArgumentException(javaNames(NativeOperations.winnow_last_error()));
      case NativeCodes.OUT_OF_MEMORY ->
          throw new OutOfMemoryError("no memory for an operation's working space");
      default -> throw new IllegalStateException(NativeOperations.winnow_last_error());
    };
  }

  /** Contracts write names as C does: {@code expert_offsets} is {@code expertOffsets} here. */
  private static String javaNames(String message) {
    return Pattern.compile("(?<=[a-z])_([a-z])")
        .matcher(message)
        .replaceAll(match -> match.group(1).toUpperCase(Locale.ROOT));
  }
}
