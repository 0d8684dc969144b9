package org.winnow.models;

import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.winnow.memory.ExpertRole;
import org.winnow.memory.ExpertSource;

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

  /** The parts of one expert. */
  List<Part> parts(int expert) {
    List<Part> parts = new ArrayList<>();
    tensors.forEach(
        (role, name) -> parts.add(new Part(role, name.replace("*", Integer.toString(expert)))));
    return parts;
  }

  /** Where the parts of one expert lie. */
  List<ExpertSource> sources(int expert, int numExperts) {
    List<ExpertSource> sources = new ArrayList<>();
    for (Part part : parts(expert)) sources.add(source(part, expert, numExperts));
    return sources;
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
