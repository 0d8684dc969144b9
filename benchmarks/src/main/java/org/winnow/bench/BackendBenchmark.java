package org.winnow.bench;

import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.State;
import org.winnow.Backend;
import org.winnow.Tensor;

/**
 * The backend that an operation's benchmark runs on. On a device the time of a call ends when the
 * first value of its result has arrived in the host's memory. Baselines run where they always do,
 * most of them on the CPU.
 */
@State(Scope.Benchmark)
public abstract class BackendBenchmark {
  /** As {@link Backend#require} takes it. */
  @Param("cpu")
  String backendName;

  Backend backend;

  /** First of all in a benchmark's setup. */
  final void openBackend() {
    backend = Backend.require(backendName);
  }

  /** Waits for the device, if there is one. */
  static Tensor arrived(Tensor output) {
    if (output.memory().isHost()) return output;
    switch (output.dtype()) {
      case I32 -> output.getInt(0);
      default -> output.getFloat(0);
    }
    return output;
  }
}
