package org.winnow.moe;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.nio.file.Path;
import java.util.Arrays;
import java.util.List;
import java.util.Random;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.MethodSource;
import org.winnow.Backend;
import org.winnow.BackendsUnderTest;
import org.winnow.BackendsUnderTest.Variant;
import org.winnow.ContractTest;
import org.winnow.DType;
import org.winnow.ExpertReadException;

/** A wave whose experts arrive one after the other is computed in parts. */
@ContractTest
class MoeLayerPartsTest {
  /** Experts that arrive some at a time, in any order. */
  private static final class ArrivingExperts extends LimitedExperts {
    final Random random = new Random(3);
    int mostAtOnce = 1;
    int numParts;
    int failAtPart = Integer.MAX_VALUE;
    int atFailure = -1; // how many are returned then, instead of a failure, if not negative
    private int[] left = {};

    ArrivingExperts(ResidentExperts all, int slots) {
      super(all, slots);
    }

    @Override
    public int acquireAsRead(int[] expertIds, int count, int[] ready) {
      acquire(expertIds, count);
      left = random.ints(0, count).distinct().limit(count).map(i -> expertIds[i]).toArray();
      return awaitMore(ready);
    }

    @Override
    public int awaitMore(int[] ready) {
      if (++numParts == failAtPart) {
        if (atFailure >= 0) return atFailure;
        throw new ExpertReadException(Path.of("experts"), "expert " + left[0], 0, 1, 0, null);
      }
      int count = Math.min(left.length, 1 + random.nextInt(mostAtOnce));
      int[] part = Arrays.stream(left).limit(count).sorted().toArray();
      System.arraycopy(part, 0, ready, 0, count);
      left = Arrays.stream(left).skip(count).toArray();
      return count;
    }
  }

  private static MoeLayerProblem problem(Backend backend) {
    return new MoeLayerProblem(
        backend, new Random(11), 40, 8, 2, 32, 24, DType.BF16, DType.F32); // all experts are chosen
  }

  static List<Variant> matrixVariants() {
    return BackendsUnderTest.matrixVariants();
  }

  @ParameterizedTest
  @MethodSource("matrixVariants")
  void partsGiveTheSameBits(Variant variant) {
    Backend backend = variant.backend();
    try (var p = problem(backend);
        MoeLayer whole = p.layer(p.experts).shared(p.shared).build()) {
      whole.forward(backend, p.hidden, p.output);
      float[] expected = p.output.toFloatArray();
      for (int slots : new int[] {2, 3, p.numExperts}) {
        ArrivingExperts arriving = new ArrivingExperts(p.experts, slots);
        try (MoeLayer layer = p.layer(arriving).shared(p.shared).build()) {
          for (arriving.mostAtOnce = 1; arriving.mostAtOnce <= slots; arriving.mostAtOnce++) {
            p.output.fill(Float.NaN);
            layer.forward(backend, p.hidden, p.output);
            assertThat(p.output.toFloatArray()).isEqualTo(expected);
            assertThat(arriving.numAcquired).isZero();
          }
        }
        assertThat(arriving.numParts).isGreaterThanOrEqualTo(p.numExperts);
      }
    }
  }

  @Test
  void aPartThatFailsReleasesTheWave() {
    Backend backend = BackendsUnderTest.shared();
    try (var p = problem(backend)) {
      ArrivingExperts arriving = new ArrivingExperts(p.experts, p.numExperts);
      try (MoeLayer layer = p.layer(arriving).build()) {
        arriving.failAtPart = 3;
        assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
            .isInstanceOf(ExpertReadException.class);
        assertThat(arriving.numAcquired).isZero();
        layer.forward(backend, p.hidden, p.output); // whose parts are later ones
        p.assertCorrect(0, 1);
      }
    }
  }

  /** Experts may be another program's. */
  @Test
  void namesPartsThatCannotBe() {
    Backend backend = BackendsUnderTest.shared();
    try (var p = problem(backend)) {
      for (int wrong : new int[] {0, p.numExperts}) {
        ArrivingExperts arriving = new ArrivingExperts(p.experts, p.numExperts);
        arriving.failAtPart = 2;
        arriving.atFailure = wrong;
        try (MoeLayer layer = p.layer(arriving).build()) {
          assertThatThrownBy(() -> layer.forward(backend, p.hidden, p.output))
              .isInstanceOf(IllegalStateException.class)
              .hasMessage(
                  "experts must return 1 to "
                      + (p.numExperts - 1)
                      + " that were acquired, found "
                      + wrong);
          assertThat(arriving.numAcquired).isZero();
        }
      }
    }
  }
}
