package org.winnow.bench;

import java.util.Arrays;
import java.util.Comparator;
import java.util.Random;
import java.util.concurrent.TimeUnit;
import org.openjdk.jmh.annotations.Benchmark;
import org.openjdk.jmh.annotations.BenchmarkMode;
import org.openjdk.jmh.annotations.Fork;
import org.openjdk.jmh.annotations.Measurement;
import org.openjdk.jmh.annotations.Mode;
import org.openjdk.jmh.annotations.OutputTimeUnit;
import org.openjdk.jmh.annotations.Param;
import org.openjdk.jmh.annotations.Scope;
import org.openjdk.jmh.annotations.Setup;
import org.openjdk.jmh.annotations.State;
import org.openjdk.jmh.annotations.TearDown;
import org.openjdk.jmh.annotations.Warmup;
import org.winnow.Tensor;
import org.winnow.op.ActiveColumns;
import org.winnow.op.ColumnRule;

/**
 * Choosing the columns of one token from logits that are there, of 4,096 and of 65,536 columns,
 * against a full sort in Java.
 */
@State(Scope.Benchmark)
@BenchmarkMode(Mode.AverageTime)
@OutputTimeUnit(TimeUnit.MICROSECONDS)
@Warmup(iterations = 3, time = 1)
@Measurement(iterations = 5, time = 1)
@Fork(1)
public class ActiveColumnsBenchmark extends BackendBenchmark {
  /** The rules whose costs differ. */
  public enum Rule {
    ONE_OF_64,
    TENTH,
    THRESHOLD
  }

  @Param Rule rule;

  @Param({"4096", "65536"})
  int numColumns;

  private ActiveColumns columns;
  private ColumnRule columnRule;
  private float[] values;
  private Tensor logits;

  @Setup
  public void setup() {
    openBackend();
    columns = new ActiveColumns(backend.memory());
    columnRule =
        switch (rule) {
          case ONE_OF_64 -> ColumnRule.topKOfBlocks(64, 1);
          case TENTH -> ColumnRule.topK(numColumns / 10);
          case THRESHOLD -> ColumnRule.threshold(1.28f); // a tenth of normal values
        };
    Random random = new Random(42);
    values = new float[numColumns];
    for (int i = 0; i < numColumns; i++) values[i] = (float) random.nextGaussian();
    logits = backend.of(values, 1, numColumns);
    choose();
    if (rule == Rule.TENTH && !Arrays.equals(columns.columnsOf(0), baselineFullSort()))
      throw new AssertionError("other columns than a sort chooses");
  }

  @TearDown
  public void tearDown() {
    logits.close();
    columns.close();
    backend.close();
  }

  @Benchmark
  public ActiveColumns choose() {
    columns.choose(backend, logits, null, columnRule);
    arrived(columns.columnCounts());
    return columns;
  }

  @Benchmark
  public int[] baselineFullSort() {
    Integer[] ids = new Integer[numColumns];
    for (int i = 0; i < numColumns; i++) ids[i] = i;
    Arrays.sort(ids, Comparator.comparingDouble(i -> -values[i]));
    return Arrays.stream(ids).limit(numColumns / 10).mapToInt(i -> i).sorted().toArray();
  }
}
