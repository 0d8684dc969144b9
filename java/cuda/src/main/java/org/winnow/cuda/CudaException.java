package org.winnow.cuda;

import org.winnow.WinnowException;

/**
 * A call of the CUDA driver failed. The message contains the call, the error's name and the
 * driver's text.
 */
public final class CudaException extends WinnowException {
  private static final long serialVersionUID = 1L;

  private final String call;
  private final int status;
  private final String statusName;

  CudaException(String call, int status, String statusName, String text) {
    super(call + " failed: " + statusName + " (" + status + "), " + text);
    this.call = call;
    this.status = status;
    this.statusName = statusName;
  }

  /** For every call after an error that destroyed the device context. */
  CudaException(String message, CudaException cause) {
    super(message, cause);
    this.call = cause.call;
    this.status = cause.status;
    this.statusName = cause.statusName;
  }

  /** The driver function, such as {@code "cuMemAlloc"}. */
  public String call() {
    return call;
  }

  /** The driver's error number, such as 700. */
  public int status() {
    return status;
  }

  /** The driver's name of the error, such as {@code "CUDA_ERROR_ILLEGAL_ADDRESS"}. */
  public String statusName() {
    return statusName;
  }
}
