package org.winnow.internal;

/**
 * How an operation ended: {@code winnow_status} of {@code winnow/base/operation.h} without those
 * that are thrown. {@link Arguments#detail} has the number that the contract names.
 */
public enum Status {
  /** Everything is written. */
  DONE,
  /** The contract refuses the contents; the detail says which. */
  REFUSED,
  /** A device has not finished: the number that the operation returns is not known yet. */
  NOT_WAITED;

  /**
   * The status of a native call.
   *
   * @throws IllegalArgumentException with the native message, where contents lie outside their
   *     range or a type is none that the operation takes
   * @throws OutOfMemoryError if the operation found no memory to work in
   * @throws IllegalStateException with the native message, for any other failure
   */
  static Status of(int code) {
    return switch (code) {
      case NativeCodes.DONE -> DONE;
      case NativeCodes.REFUSED -> REFUSED;
      case NativeCodes.INVALID_ARGUMENT, NativeCodes.OUT_OF_RANGE ->
          throw new IllegalArgumentException(NativeOperations.winnow_last_error());
      case NativeCodes.OUT_OF_MEMORY ->
          throw new OutOfMemoryError("no memory for an operation's working space");
      default -> throw new IllegalStateException(NativeOperations.winnow_last_error());
    };
  }
}
