package org.winnow.memory;

import java.util.Objects;
import org.winnow.WeightFormat;

/**
 * Where a part of an expert lies in a checkpoint: in which tensor, and which of its elements. Every
 * method returns another source; none changes one.
 *
 * <p>A part ends up as [rows, columns], or as [rows] for a bias and for row scales. The methods
 * speak of rows and columns of the tensor as it is stored. Which extents the tensor must have
 * follows from those of the part.
 *
 * <pre>{@code
 * ExpertSource.of(UP, "experts.3.up.weight")                                 // [f, d], the part itself
 * ExpertSource.of(UP, "gate_up").expert(3, 128).rowPart(1, 2)                // [128, 2 * f, d], below the gate's rows
 * ExpertSource.of(UP, "gate_up").expert(3, 128).columns(1, 2).transposed()   // [128, d, 2 * f], every other column
 * ExpertSource.of(UP, "up.weight").format(format)                            // bytes of a format with row scales
 * ExpertSource.of(UP, "up.scale").plane(1)                                   // its row scales [f]
 * }</pre>
 */
public final class ExpertSource {
  private final ExpertRole role;
  private final String tensor;
  private WeightFormat format; // null: that of the tensor's type. Set before a source is handed out
  private int plane;
  private int expert = -1; // -1: the tensor is of one expert
  private int numExperts;
  private Axis rows = Axis.WHOLE;
  private Axis columns = Axis.WHOLE;
  private boolean transposed;

  /** What is taken of a stored extent: one of {@code parts}, consecutive or alternating. */
  record Axis(int part, int parts, boolean alternating) {
    static final Axis WHOLE = new Axis(0, 1, false);

    /**
     * The stored extent if this takes that many of it; {@code Long.MAX_VALUE} if a long cannot hold
     * it.
     */
    long extent(long count) {
      return count > Long.MAX_VALUE / parts ? Long.MAX_VALUE : count * parts;
    }

    ExpertLayout.Span span(long count) {
      return alternating
          ? new ExpertLayout.Span(part, parts, count)
          : new ExpertLayout.Span(part * count, 1, count);
    }
  }

  private ExpertSource(ExpertRole role, String tensor) {
    this.role = Objects.requireNonNull(role, "role");
    this.tensor = Objects.requireNonNull(tensor, "tensor");
  }

  private ExpertSource copy() {
    ExpertSource copy = new ExpertSource(role, tensor);
    copy.format = format;
    copy.plane = plane;
    copy.expert = expert;
    copy.numExperts = numExperts;
    copy.rows = rows;
    copy.columns = columns;
    copy.transposed = transposed;
    return copy;
  }

  /**
   * A whole tensor.
   *
   * @param role what it is
   * @param tensor its name in the checkpoint
   */
  public static ExpertSource of(ExpertRole role, String tensor) {
    return new ExpertSource(role, tensor);
  }

  /**
   * The format of a matrix whose tensor holds a format's blocks as bytes. Without this the format
   * is the plain one of the tensor's type. Whole rows of bf16 or f16 can be widened to f32 too.
   */
  public ExpertSource format(WeightFormat newFormat) {
    ExpertSource copy = copy();
    copy.format = Objects.requireNonNull(newFormat, "format");
    return copy;
  }

  /**
   * Which plane of the matrix the tensor holds: 0, as without this, its blocks; 1 its row scales.
   *
   * @throws IllegalArgumentException if it is negative
   */
  public ExpertSource plane(int newPlane) {
    if (newPlane < 0)
      throw new IllegalArgumentException("plane must not be negative, found " + newPlane);
    ExpertSource copy = copy();
    copy.plane = newPlane;
    return copy;
  }

  /**
   * One expert of a tensor in which those of a layer are stacked: its first extent counts them.
   *
   * @throws IllegalArgumentException unless the expert lies in [0, numExperts)
   */
  public ExpertSource expert(int newExpert, int newNumExperts) {
    requireBelow("expert", newExpert, newNumExperts);
    ExpertSource copy = copy();
    copy.expert = newExpert;
    copy.numExperts = newNumExperts;
    return copy;
  }

  /**
   * One of several parts of equal size, whose rows follow each other.
   *
   * @param part 0 for the first
   * @param numParts how many the tensor has
   * @throws IllegalArgumentException unless the part lies in [0, numParts)
   */
  public ExpertSource rowPart(int part, int numParts) {
    return withRows("part", part, numParts, false);
  }

  /** The same of columns. */
  public ExpertSource columnPart(int part, int numParts) {
    return withColumns("part", part, numParts, false);
  }

  /**
   * Rows {@code first, first + step, ...}: the tensor has {@code step} times as many.
   *
   * @throws IllegalArgumentException unless first lies in [0, step)
   */
  public ExpertSource rows(int first, int step) {
    return withRows("first", first, step, true);
  }

  /** The same of columns. */
  public ExpertSource columns(int first, int step) {
    return withColumns("first", first, step, true);
  }

  /** The columns as stored are the rows of the part. */
  public ExpertSource transposed() {
    ExpertSource copy = copy();
    copy.transposed = true;
    return copy;
  }

  private ExpertSource withRows(String name, int part, int parts, boolean alternating) {
    requireBelow(name, part, parts);
    ExpertSource copy = copy();
    copy.rows = new Axis(part, parts, alternating);
    return copy;
  }

  private ExpertSource withColumns(String name, int part, int parts, boolean alternating) {
    requireBelow(name, part, parts);
    ExpertSource copy = copy();
    copy.columns = new Axis(part, parts, alternating);
    return copy;
  }

  private static void requireBelow(String name, int value, int limit) {
    if (value < 0 || value >= limit)
      throw new IllegalArgumentException(name + " must lie in [0, " + limit + "), found " + value);
  }

  ExpertRole role() {
    return role;
  }

  String tensor() {
    return tensor;
  }

  WeightFormat format() {
    return format;
  }

  int plane() {
    return plane;
  }

  boolean isStacked() {
    return expert >= 0;
  }

  int expert() {
    return Math.max(expert, 0);
  }

  int numExperts() {
    return numExperts;
  }

  Axis rows() {
    return rows;
  }

  Axis columns() {
    return columns;
  }

  boolean isTransposed() {
    return transposed;
  }

  /** The part and plane, as error messages call them: {@code GATE}, {@code GATE plane 1}. */
  String target() {
    return plane == 0 ? role.toString() : role + " plane " + plane;
  }

  @Override
  public String toString() {
    return target() + " of " + tensor;
  }
}
