package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.util.stream.IntStream;
import org.junit.jupiter.api.Test;
import org.winnow.op.Sampler;

class TaintTest {
  private static final Object[] A_NULL = {null};

  private final Taint taint = new Taint();

  @Test
  void whatWasMadeWithNullIsKnownHoweverManyFollow() {
    Sampler made = new Sampler(null, 0);
    taint.pass(A_NULL, null, made);

    IntStream.range(0, 100_000).forEach(i -> taint.pass(A_NULL, null, new Sampler(null, i)));

    assertThat(taint.hasNull(new Object[] {made})).isTrue();
  }

  @Test
  void whatWasMadeWithoutNullIsNotKnown() {
    Sampler made = Sampler.greedy();
    taint.pass(new Object[] {"a"}, null, made);

    assertThat(taint.hasNull(new Object[] {made})).isFalse();
  }
}
