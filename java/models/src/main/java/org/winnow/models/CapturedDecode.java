package org.winnow.models;

import java.util.ArrayList;
import java.util.List;
import org.winnow.Backend;
import org.winnow.CapturedStep;
import org.winnow.TensorMemory;

/**
 * Captured steps that decode one token of one sequence. Where a layer's experts may be missing, one
 * step ends after the router. The host then loads the chosen experts and holds them: it keeps them
 * in memory while the next step runs. If no layer needs the host, a single step decodes the token.
 * The steps must be captured again after memory was released, and after all experts of a layer have
 * become resident.
 */
final class CapturedDecode implements AutoCloseable {
  /**
   * The work of one token in order: segments of operations that can be captured, and the blocks
   * whose experts the host holds between segments.
   */
  static final class Program {
    private final List<List<Runnable>> segments = new ArrayList<>();
    private final List<ExpertBlock> holds = new ArrayList<>(); // entry i: after segment i

    Program() {
      segments.add(new ArrayList<>());
    }

    /** Adds operations to the current segment. They must only enqueue work. */
    void add(Runnable operations) {
      segments.get(segments.size() - 1).add(operations);
    }

    /**
     * Ends the current segment. The host holds the experts that the block has chosen until the next
     * segment has been enqueued.
     */
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

  /** Whether {@link #run} would do the same as capturing again. */
  boolean isCurrent(List<ExpertBlock> chosenByHost) {
    return releases == memory().releases() && holds.equals(chosenByHost);
  }

  /**
   * Captures a program. Runs each step as soon as it is captured.
   *
   * @return false if the host cannot hold all chosen experts of a layer at the same time; then the
   *     token must be decoded again from its beginning, without capture
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

  /** Runs the captured steps. Returns false in the same case as {@link #capture}. */
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
