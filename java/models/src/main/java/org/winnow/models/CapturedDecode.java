package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import org.winnow.Backend;
import org.winnow.CapturedStep;
import org.winnow.TensorMemory;

/**
 * The decoding of one token of one sequence, captured: between two captured steps the host holds
 * the experts that a layer has chosen; where none has to be held, one step is all. Captured again
 * when memory was released since, or a layer's experts have all become resident.
 */
final class CapturedDecode implements AutoCloseable {
  /** What a token takes, in order: operations that can be captured, and layers that choose. */
  static final class Program {
    private final List<List<Runnable>> segments = new ArrayList<>();
    private final List<ExpertBlock> holds = new ArrayList<>(); // between a segment and the next

    Program() {
      segments.add(new ArrayList<>());
    }

    /** Operations that only issue work. */
    void add(Runnable operations) {
      segments.get(segments.size() - 1).add(operations);
    }

    /** Here the host holds what the block has chosen, until the end of the next segment. */
    void hold(ExpertBlock block) {
      holds.add(block);
      segments.add(new ArrayList<>());
    }
  }

  private final Backend backend;
  private final List<CapturedStep> steps = new ArrayList<>();
  private List<ExpertBlock> holds = List.of();
  private long releases = -1;

  CapturedDecode(Backend backend) {
    this.backend = backend;
  }

  /** Whether {@link #run} runs what {@link #capture} would capture now. */
  boolean isCurrent(List<ExpertBlock> chosenByHost) {
    return releases == memory().releases() && holds.equals(chosenByHost);
  }

  /**
   * Runs a program and captures it on the way.
   *
   * @return false if a layer's experts cannot be held at once: the token has to be decoded without
   *     capturing then, from its beginning
   */
  boolean capture(Program program) {
    close();
    boolean complete = false;
    try {
      for (int i = 0; i < program.segments.size(); i++) {
        ExpertBlock held = i == 0 ? null : program.holds.get(i - 1);
        if (held != null && !held.hold()) return false;
        try {
          List<Runnable> segment = program.segments.get(i);
          CapturedStep step = backend.capture(() -> segment.forEach(Runnable::run));
          steps.add(step);
          step.run();
        } finally {
          if (held != null) held.release();
        }
      }
      holds = List.copyOf(program.holds);
      releases = memory().releases();
      complete = true;
      return true;
    } finally {
      if (!complete) close();
    }
  }

  /** Runs it again; returns what {@link #capture} does. */
  boolean run() {
    for (int i = 0; i < steps.size(); i++) {
      ExpertBlock held = i == 0 ? null : holds.get(i - 1);
      if (held != null && !held.hold()) return false;
      try {
        steps.get(i).run();
      } finally {
        if (held != null) held.release();
      }
    }
    return true;
  }

  private TensorMemory memory() {
    return backend.memory();
  }

  @Override
  public void close() {
    steps.forEach(CapturedStep::close);
    steps.clear();
    holds = List.of();
    releases = -1;
  }
}
