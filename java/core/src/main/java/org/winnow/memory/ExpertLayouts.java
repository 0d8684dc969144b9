package org.winnow.memory;

import java.util.Arrays;
import java.util.EnumSet;
import java.util.HashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import java.util.function.Function;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.memory.ExpertLayout.Span;
import org.winnow.memory.ExpertLayout.Stored;
import org.winnow.memory.ExpertLayout.Transform;
import org.winnow.memory.LayoutBuilder.Elements;

/** Plans the layouts of a store's experts: what their sources name, checked against the tensors. */
final class ExpertLayouts {
  private final Checkpoint checkpoint;
  private final long hiddenSize;
  private final long intermediateSize;
  private final Function<WeightFormat, WeightLayout> weightLayout;

  /**
   * @param weightLayout the layout of matrices of a format
   */
  ExpertLayouts(
      Checkpoint checkpoint,
      long hiddenSize,
      long intermediateSize,
      Function<WeightFormat, WeightLayout> weightLayout) {
    this.weightLayout = weightLayout;
    this.checkpoint = checkpoint;
    this.hiddenSize = hiddenSize;
    this.intermediateSize = intermediateSize;
  }

  /**
   * @param what the expert, for errors
   * @param first the layout of the layer's first expert; null for that one itself
   * @throws CheckpointException naming a tensor that is missing or does not fit
   * @throws IllegalArgumentException if the sources miss a part of an expert, or name one twice
   */
  ExpertLayout plan(String what, List<ExpertSource> given, ExpertLayout first) {
    List<ExpertSource> sources = List.copyOf(given);
    requireDistinct(sources, what);
    WeightFormat[] formats = new WeightFormat[ExpertRole.values().length];
    LayoutBuilder layout = new LayoutBuilder(checkpoint, formats);
    for (ExpertSource source : sources)
      if (source.plane() == 0) formats[source.role().ordinal()] = format(source, formats, first);
    for (ExpertSource source : sources) add(layout, source, formats[source.role().ordinal()], what);
    requireWhole(layout, formats, what);
    if (first != null && !roles(first.formats()).equals(roles(formats)))
      throw new IllegalArgumentException(
          what + " must have " + roles(first.formats()) + ", as others, found " + roles(formats));
    return layout.finish();
  }

  private static void requireDistinct(List<ExpertSource> sources, String what) {
    Map<String, ExpertSource> byTarget = new HashMap<>();
    for (ExpertSource source : sources) {
      ExpertSource other = byTarget.putIfAbsent(source.target(), source);
      if (other != null)
        throw new IllegalArgumentException(
            what
                + ": sources must be 1 for "
                + source.target()
                + ", found 2: "
                + other.tensor()
                + " and "
                + source.tensor());
    }
  }

  private WeightFormat format(ExpertSource source, WeightFormat[] others, ExpertLayout first) {
    ExpertRole role = source.role();
    TensorInfo tensor = checkpoint.require(source.tensor());
    if (role.isBias()) return WeightFormat.F32;
    WeightFormat format = source.format();
    if (format == null) format = WeightFormat.of(floating(tensor));
    WeightFormat gate = others[ExpertRole.GATE.ordinal()];
    WeightFormat up = others[ExpertRole.UP.ordinal()];
    if (first != null && first.format(role) != null)
      requireFormat(tensor, format, first.format(role), "as the layer's other experts have");
    if (role == ExpertRole.UP && gate != null)
      requireFormat(tensor, format, gate, "as the gate has");
    if (role == ExpertRole.GATE && up != null) requireFormat(tensor, format, up, "as up has");
    return format;
  }

  private static void requireFormat(
      TensorInfo tensor, WeightFormat format, WeightFormat expected, String reason) {
    if (format != expected)
      throw new CheckpointException(
          tensor.file(), tensor.name(), "format " + expected + ", " + reason, format.toString());
  }

  private void add(LayoutBuilder layout, ExpertSource source, WeightFormat format, String what) {
    if (format == null)
      throw new IllegalArgumentException(
          what + " must have plane 0 of " + source.role() + ", found " + source);
    if (source.plane() >= format.planes())
      throw new IllegalArgumentException(
          what + ": planes must be " + format.planes() + " for " + format + ", found " + source);
    if (source.role().isBias() || source.plane() > 0) addVector(layout, source, what);
    else addMatrix(layout, source, format, what);
  }

  private void addMatrix(
      LayoutBuilder layout, ExpertSource source, WeightFormat format, String what) {
    TensorInfo tensor = checkpoint.require(source.tensor());
    long rows = rows(source.role());
    long columns = source.role().yieldsHidden() ? intermediateSize : hiddenSize;
    if (columns % format.blockElements() != 0)
      throw new CheckpointException(
          tensor.file(),
          tensor.name(),
          "rows of a multiple of " + format.blockElements() + " elements for " + format,
          columns + " elements");
    if (format == WeightFormat.F32 && isNarrow(tensor)) {
      addWidened(layout, source, columns, what);
      return;
    }
    int elementBytes = elementBytes(tensor, format);
    boolean wholeElements = isOfElements(format) && elementBytes == format.blockBytes();
    if (!wholeElements && (source.isTransposed() || source.columns().parts() > 1))
      throw new IllegalArgumentException(
          what + ": columns must be whole and in rows for " + format + ", found " + source);
    long units = columns / format.blockElements();
    long unitsPerBlock = format.blockBytes() / elementBytes;
    columns = units > Long.MAX_VALUE / unitsPerBlock ? Long.MAX_VALUE : units * unitsPerBlock;
    long rowCount = source.isTransposed() ? columns : rows;
    long columnCount = source.isTransposed() ? rows : columns;
    long storedRows = source.rows().extent(rowCount);
    long storedColumns = source.columns().extent(columnCount);
    requireShape(tensor, source, storedRows, storedColumns);
    Span rowSpan = source.rows().span(rowCount);
    Span columnSpan = source.columns().span(columnCount);
    long first = source.expert() * storedRows * storedColumns;
    Elements elements =
        new Elements(tensor, first, new Stored(elementBytes, storedColumns), rowSpan, columnSpan);
    layout.add(
        source.role(),
        source.plane(),
        elements,
        source.isTransposed() ? Transform.TRANSPOSE : Transform.COPY,
        format.alignmentBytes(),
        weightLayout.apply(format) == WeightLayout.PANELS ? format.panelElements() : 0);
  }

  private static boolean isNarrow(TensorInfo tensor) {
    return tensor.dtype() != null && tensor.dtype().isFloating() && tensor.dtype() != DType.F32;
  }

  /** A matrix that becomes f32. Its rows follow each other, so it is read as one column. */
  private void addWidened(LayoutBuilder layout, ExpertSource source, long columns, String what) {
    TensorInfo tensor = checkpoint.require(source.tensor());
    long rows = rows(source.role());
    Span rowSpan = source.rows().span(rows);
    if (source.isTransposed() || source.columns().parts() > 1 || rowSpan.step() > 1)
      throw new IllegalArgumentException(
          what + ": rows must be whole and follow each other to become f32, found " + source);
    long storedRows = source.rows().extent(rows);
    requireShape(tensor, source, storedRows, columns);
    Elements elements =
        new Elements(
            tensor,
            (source.expert() * storedRows + rowSpan.first()) * columns,
            new Stored(tensor.dtype().sizeBytes(), 1),
            new Span(0, 1, rows * columns),
            new Span(0, 1, 1));
    if (weightLayout.apply(WeightFormat.F32) != WeightLayout.ROWS)
      throw new IllegalArgumentException(what + ": what becomes f32 must lie in rows");
    layout.add(source.role(), source.plane(), elements, Transform.TO_F32, Float.BYTES, 0);
  }

  /** A bias or row scales: a matrix of one column, f32 in memory. */
  private void addVector(LayoutBuilder layout, ExpertSource source, String what) {
    TensorInfo tensor = checkpoint.require(source.tensor());
    if (source.format() != null || source.isTransposed() || source.columns().parts() > 1)
      throw new IllegalArgumentException(
          what + ": " + source + " must have no format of its own and rows only");
    DType dtype = floating(tensor);
    long count = rows(source.role());
    long stored = source.rows().extent(count);
    requireShape(tensor, source, stored);
    boolean plain = source.plane() > 0 && dtype == DType.F32;
    Elements elements =
        new Elements(
            tensor,
            source.expert() * stored,
            new Stored(dtype.sizeBytes(), 1),
            source.rows().span(count),
            new Span(0, 1, 1));
    layout.add(
        source.role(),
        source.plane(),
        elements,
        plain ? Transform.COPY : Transform.TO_F32,
        Float.BYTES,
        0);
  }

  private long rows(ExpertRole role) {
    return role.yieldsHidden() ? hiddenSize : intermediateSize;
  }

  /** Whether columns can be moved one by one. */
  private static boolean isOfElements(WeightFormat format) {
    return format.blockElements() == 1;
  }

  /** Bytes that are moved together: an element of a plain type, or a byte of other formats. */
  private static int elementBytes(TensorInfo tensor, WeightFormat format) {
    DType plain = plainType(format);
    if (plain != null) {
      if (tensor.dtype() != plain)
        throw new CheckpointException(
            tensor.file(), tensor.name(), "type " + plain, tensor.storedType());
      return plain.sizeBytes();
    }
    if (!isOfBytes(tensor))
      throw new CheckpointException(
          tensor.file(),
          tensor.name(),
          "a type of one byte, for the bytes of " + format,
          tensor.storedType());
    return 1;
  }

  private static boolean isOfBytes(TensorInfo tensor) {
    if (tensor.dtype() != null) return tensor.dtype().sizeBytes() == 1;
    try {
      return tensor.sizeBytes() == tensor.size();
    } catch (IllegalArgumentException e) {
      return false; // more than any file has
    }
  }

  private static DType plainType(WeightFormat format) {
    for (DType type : DType.values())
      if (type.isFloating() && WeightFormat.of(type) == format) return type;
    return null;
  }

  private static DType floating(TensorInfo tensor) {
    if (tensor.dtype() == null)
      throw new UnsupportedFormatException(
          tensor.file()
              + ": "
              + tensor.name()
              + ": type "
              + tensor.storedType()
              + " is not supported yet");
    if (!tensor.dtype().isFloating())
      throw new CheckpointException(
          tensor.file(), tensor.name(), "type f32, bf16 or f16", tensor.storedType());
    return tensor.dtype();
  }

  private static void requireShape(TensorInfo tensor, ExpertSource source, long... shape) {
    long[] expected = shape;
    if (source.isStacked()) {
      expected = new long[shape.length + 1];
      expected[0] = source.numExperts();
      System.arraycopy(shape, 0, expected, 1, shape.length);
    }
    if (!Arrays.equals(tensor.shape(), expected))
      throw new CheckpointException(
          tensor.file(),
          tensor.name(),
          "shape " + Arrays.toString(expected),
          Arrays.toString(tensor.shape()));
  }

  private static void requireWhole(LayoutBuilder layout, WeightFormat[] formats, String what) {
    Set<ExpertRole> roles = roles(formats);
    for (ExpertRole role : List.of(ExpertRole.GATE, ExpertRole.DOWN))
      if (!roles.contains(role))
        throw new IllegalArgumentException(what + " must have " + role + ", found " + roles);
    if (roles.contains(ExpertRole.UP_BIAS) && !roles.contains(ExpertRole.UP))
      throw new IllegalArgumentException(what + " must have UP for UP_BIAS, found " + roles);
    for (ExpertRole role : roles) {
      int planes = formats[role.ordinal()].planes();
      for (int plane = 0; plane < planes; plane++)
        if (!layout.has(role, plane))
          throw new IllegalArgumentException(
              what
                  + " must have "
                  + planes
                  + " planes of "
                  + role
                  + " in "
                  + formats[role.ordinal()]
                  + ", found no plane "
                  + plane);
    }
  }

  private static Set<ExpertRole> roles(WeightFormat[] formats) {
    Set<ExpertRole> roles = EnumSet.noneOf(ExpertRole.class);
    for (ExpertRole role : ExpertRole.values())
      if (formats[role.ordinal()] != null) roles.add(role);
    return roles;
  }
}
