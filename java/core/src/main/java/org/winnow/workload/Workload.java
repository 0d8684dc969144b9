package org.winnow.workload;

import java.util.ArrayDeque;
import java.util.Deque;
import org.winnow.DType;
import org.winnow.Tensor;

/**
 * One operation or block at one size, ready to run again and again on a backend. For one thread at
 * a time. Closing it leaves the backend and the pool of its weights open.
 */
public abstract class Workload implements AutoCloseable {
  private final String operation;
  private final String shape;
  private final DType type;
  private final int numTokens;
  private final Deque<AutoCloseable> open = new ArrayDeque<>(); // last opened first

  /**
   * @param operation such as {@code "MoE block"}
   * @param shape whose shape it has
   * @param type of the operands, by which the limit of arithmetic is chosen
   * @param numTokens of a run
   */
  protected Workload(String operation, String shape, DType type, int numTokens) {
    this.operation = operation;
    this.shape = shape;
    this.type = type;
    this.numTokens = numTokens;
  }

  /** Runs once, on other data than the last time where that matters to caches. */
  public abstract void run();

  /** What the last run wrote. */
  public abstract Tensor output();

  /**
   * Compares the last run with a reference in double precision, at some elements. On a device it
   * waits for the run.
   *
   * @throws WrongResultException naming the element, what was expected and what was found
   */
  public abstract void check();

  /** What the last run had to do at least. */
  public abstract Work work();

  /** The same for the dense baseline, which leaves nothing out. */
  public abstract Work denseWork();

  public final String operation() {
    return operation;
  }

  public final String shape() {
    return shape;
  }

  public final DType type() {
    return type;
  }

  public final int numTokens() {
    return numTokens;
  }

  /** Closes this with the workload. */
  final <T extends AutoCloseable> T keep(T opened) {
    open.push(opened);
    return opened;
  }

  final void requireNear(String element, Exact expected, double found) {
    requireWithin(element, expected.value(), expected.bound(), found);
  }

  final void requireWithin(String element, double expected, double bound, double found) {
    if (!(Math.abs(found - expected) <= bound))
      throw wrong(element + ": expected " + expected + " within " + bound + ", found " + found);
  }

  final WrongResultException wrong(String what) {
    return new WrongResultException(this + ": " + what);
  }

  /** {@code "MoE block, OLMoE, bf16, 16 tokens"}. */
  @Override
  public final String toString() {
    return operation
        + ", "
        + shape
        + ", "
        + type
        + ", "
        + numTokens
        + (numTokens == 1 ? " token" : " tokens");
  }

  @Override
  public void close() {
    while (!open.isEmpty()) {
      try {
        open.pop().close();
      } catch (RuntimeException e) {
        throw e;
      } catch (Exception e) {
        throw new IllegalStateException(e); // what is kept throws no checked one
      }
    }
  }
}
