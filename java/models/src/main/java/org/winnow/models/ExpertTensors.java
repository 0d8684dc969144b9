package org.winnow.models;

import java.util.ArrayList;
import java.util.Arrays;
import java.util.EnumMap;
import java.util.EnumSet;
import java.util.HashSet;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Objects;
import java.util.Set;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.WeightFormat;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertSource;
import org.winnow.memory.TensorInfo;

/**
 * How a checkpoint stores the experts of a layer.
 *
 * @param tensors the tensors by the part of an expert that they hold. A name may have a {@code *},
 *     which stands for the number of the expert
 * @param layout how the parts lie in a tensor
 */
record ExpertTensors(Map<ExpertRole, String> tensors, Layout layout) {
  /** Where an expert's parts lie in the tensors. E is the number of experts. */
  enum Layout {
    /** One tensor per expert and part: gate and up [f, d], down [d, f]. */
    SEPARATE,
    /** One tensor per part: gate and up [E, f, d], down [E, d, f]. */
    STACKED,
    /** Gate and up in one tensor [E, 2f, d], the rows of gate first; down [E, d, f]. */
    GATE_FIRST,
    /**
     * Matrices are stored input-major. Gate and up are the even and odd columns of one tensor [E,
     * d, 2f]; down is [E, f, d] (gpt-oss).
     */
    INTERLEAVED
  }

  /** A part of an expert, and the tensor that holds it. */
  record Part(ExpertRole role, String tensor) {}

  /** Tensors with these names for gate, up and down. */
  static ExpertTensors of(Layout layout, String gate, String up, String down) {
    Map<ExpertRole, String> tensors = new LinkedHashMap<>();
    tensors.put(ExpertRole.GATE, gate);
    tensors.put(ExpertRole.UP, up);
    tensors.put(ExpertRole.DOWN, down);
    return new ExpertTensors(tensors, layout);
  }

  /** The same with biases. */
  ExpertTensors withBiases(String gate, String up, String down) {
    Map<ExpertRole, String> more = new LinkedHashMap<>(tensors);
    more.put(ExpertRole.GATE_BIAS, gate);
    more.put(ExpertRole.UP_BIAS, up);
    more.put(ExpertRole.DOWN_BIAS, down);
    return new ExpertTensors(more, layout);
  }

  /**
   * Refuses stacks of matrices that are stored input-major, as some families store them. They could
   * be transposed, but whether gate and up are then halves or every other column, no shape tells.
   *
   * @throws CheckpointException naming the tensor and both layouts
   */
  void refuseTransposed(Checkpoint checkpoint, long hiddenSize, long intermediateSize) {
    if (layout != Layout.STACKED && layout != Layout.GATE_FIRST) return;
    for (ExpertRole role : List.of(ExpertRole.GATE, ExpertRole.UP, ExpertRole.DOWN)) {
      TensorInfo tensor = checkpoint.require(Objects.requireNonNull(tensors.get(role)));
      boolean down = role == ExpertRole.DOWN;
      long rows = down ? hiddenSize : (layout == Layout.GATE_FIRST ? 2 : 1) * intermediateSize;
      long columns = down ? intermediateSize : hiddenSize;
      long[] found = tensor.shape();
      if (found.length != 3 || rows == columns || found[1] != columns || found[2] != rows) continue;
      throw new CheckpointException(
          tensor.file(),
          tensor.name(),
          "shape "
              + Arrays.toString(new long[] {found[0], rows, columns})
              + ", of experts, outputs, inputs",
          Arrays.toString(found) + ", each expert's matrix transposed");
    }
  }

  /** The parts of one expert. */
  List<Part> parts(int expert) {
    List<Part> parts = new ArrayList<>();
    tensors.forEach(
        (role, name) -> parts.add(new Part(role, name.replace("*", Integer.toString(expert)))));
    return parts;
  }

  /**
   * Where the parts of one expert lie.
   *
   * @param widened the parts that become f32
   */
  List<ExpertSource> sources(int expert, int numExperts, Set<ExpertRole> widened) {
    List<ExpertSource> sources = new ArrayList<>();
    for (Part part : parts(expert)) {
      ExpertSource source = source(part, expert, numExperts);
      sources.add(widened.contains(part.role()) ? source.format(WeightFormat.F32) : source);
    }
    return sources;
  }

  /**
   * The parts whose types differ within a layer. A layer computes a part of all its experts in one
   * type, gate and up too. Widening changes no value.
   */
  Set<ExpertRole> unlike(Checkpoint checkpoint, int numExperts) {
    Map<ExpertRole, Set<DType>> types = new EnumMap<>(ExpertRole.class);
    for (int expert = 0; expert < (layout == Layout.SEPARATE ? numExperts : 1); expert++) {
      for (Part part : parts(expert)) {
        DType type = checkpoint.require(part.tensor()).dtype();
        if (type == null || !type.isFloating()) return Set.of(); // refused by its name
        boolean down = part.role() == ExpertRole.DOWN;
        if (down || part.role() == ExpertRole.GATE || part.role() == ExpertRole.UP)
          types
              .computeIfAbsent(down ? ExpertRole.DOWN : ExpertRole.GATE, role -> new HashSet<>())
              .add(type);
      }
    }
    Set<ExpertRole> unlike = EnumSet.noneOf(ExpertRole.class);
    types.forEach((role, found) -> unlike.addAll(found.size() > 1 ? List.of(role) : List.of()));
    if (unlike.contains(ExpertRole.GATE)) unlike.add(ExpertRole.UP);
    return unlike;
  }

  private ExpertSource source(Part part, int expert, int numExperts) {
    ExpertSource whole = ExpertSource.of(part.role(), part.tensor());
    if (layout == Layout.SEPARATE) return whole;
    ExpertSource one = whole.expert(expert, numExperts);
    return switch (part.role()) {
      case GATE -> gateOrUp(one, 0);
      case UP -> gateOrUp(one, 1);
      case DOWN -> layout == Layout.INTERLEAVED ? one.transposed() : one;
      case GATE_BIAS -> gateOrUpBias(one, 0);
      case UP_BIAS -> gateOrUpBias(one, 1);
      case DOWN_BIAS -> one;
    };
  }

  private ExpertSource gateOrUp(ExpertSource one, int which) {
    return switch (layout) {
      case GATE_FIRST -> one.rowPart(which, 2);
      case INTERLEAVED -> one.columns(which, 2).transposed();
      case SEPARATE, STACKED -> one;
    };
  }

  private ExpertSource gateOrUpBias(ExpertSource one, int which) {
    return switch (layout) {
      case GATE_FIRST -> one.rowPart(which, 2);
      case INTERLEAVED -> one.rows(which, 2);
      case SEPARATE, STACKED -> one;
    };
  }
}
