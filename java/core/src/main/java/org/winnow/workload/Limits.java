package org.winnow.workload;

import org.winnow.DType;

/**
 * What a machine could do at some moment.
 *
 * @param readBytesPerSecond from memory
 * @param f32OperationsPerSecond multiplications and additions of f32, each counted
 * @param bf16OperationsPerSecond the same, of bf16 operands
 */
public record Limits(
    double readBytesPerSecond, double f32OperationsPerSecond, double bf16OperationsPerSecond) {
  /** The share of the limit that a call reached: 1 is as fast as this machine can be. */
  public double share(Work work, DType type, double seconds) {
    return seconds(work, type) / seconds;
  }

  /**
   * The least time for a call: {@code max(bytes / memory speed, operations / arithmetic speed)}.
   *
   * @param type of the operands
   */
  public double seconds(Work work, DType type) {
    return Math.max(readSeconds(work), computeSeconds(work, type));
  }

  /** The least time for reading. */
  public double readSeconds(Work work) {
    return work.bytes() / readBytesPerSecond;
  }

  /** The least time for arithmetic. */
  public double computeSeconds(Work work, DType type) {
    return work.operations() / operationsPerSecond(type);
  }

  /**
   * Multiplications and additions of operands of a type. bf16 can be widened to f32, which some
   * processors multiply faster.
   */
  public double operationsPerSecond(DType type) {
    return type == DType.BF16
        ? Math.max(bf16OperationsPerSecond, f32OperationsPerSecond)
        : f32OperationsPerSecond;
  }

  /**
   * Which of the two takes longer: {@code "reading"} or {@code "arithmetic"}; {@code "-"} where the
   * work is not known.
   */
  public String limitedBy(Work work, DType type) {
    if (!work.isKnown()) return "-";
    return readSeconds(work) >= computeSeconds(work, type) ? "reading" : "arithmetic";
  }

  /** The mean of the limits at two moments. */
  public Limits mean(Limits other) {
    return new Limits(
        (readBytesPerSecond + other.readBytesPerSecond) / 2,
        (f32OperationsPerSecond + other.f32OperationsPerSecond) / 2,
        (bf16OperationsPerSecond + other.bf16OperationsPerSecond) / 2);
  }
}
