package org.winnow.workload;

import org.winnow.WinnowException;

/** A workload's result is not what the reference says. A fast wrong answer is not a result. */
public final class WrongResultException extends WinnowException {
  private static final long serialVersionUID = 1L;

  public WrongResultException(String message) {
    super(message);
  }
}
