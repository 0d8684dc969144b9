package org.winnow.cuda;

import org.winnow.WinnowException;

/** A call of the CUDA driver failed. The message holds the call, the driver's name and its text. */
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

  /** Every call after one that took the device context away. */
  CudaException(String message, CudaException cause) {
    super(message, cause);
    this.call = cause.call;
    this.status = cause.status;
    this.statusName = cause.statusName;
  }

  /** The driver's function: {@code "cuMemAlloc"}. */
  public String call() {
    return call;
  }

  /** The driver's number for what went wrong: 700. */
  public int status() {
    return status;
  }

  /** The driver's name for it: {@code "CUDA_ERROR_ILLEGAL_ADDRESS"}. */
  public String statusName() {
    return statusName;
  }
}
