package org.winnow.bench;

import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;

/** Fails in its setup, as a benchmark that finds a wrong result does, or when it runs. */
@State(Scope.Benchmark)
public class SometimesFails {
  @Param({"good", "bad setup", "bad run"})
  public String kind = "";

  @Setup
  public void setup() {
    if (kind.equals("bad setup")) throw new IllegalStateException("a wrong result");
  }

  @Benchmark
  public int run() {
    if (kind.equals("bad run")) throw new IllegalStateException("a failure");
    return kind.length();
  }
}
