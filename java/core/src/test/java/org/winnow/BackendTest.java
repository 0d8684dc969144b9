package org.winnow;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.ArrayList;
import java.util.List;
import java.util.ResourceBundle;
import org.junit.jupiter.api.Test;
import org.winnow.cpu.CpuBackend;
import org.winnow.cpu.CpuBackendProvider;
import org.winnow.op.Add;

class BackendTest {
  private static final BackendProvider CPU = new CpuBackendProvider();
  private static final BackendProvider BROKEN = new Broken();

  @Test
  void requireOpensTheBackendOfThatName() {
    try (Backend backend = Backend.require("cpu");
        Tensor sum = Tensor.of(new float[] {1, 2}, 1, 2);
        Tensor addend = Tensor.of(new float[] {10, 20}, 1, 2)) {
      Add.run(backend, sum, addend);
      assertThat(sum.toFloatArray()).containsExactly(11, 22);
    }
  }

  @Test
  void requireNamesWhatIsNotInstalled() {
    assertThatThrownBy(() -> Backend.require("cuda"))
        .isInstanceOf(BackendUnavailableException.class)
        .hasMessage(
            "backend cuda is unavailable: no jar on the class or module path provides it;"
                + " there are: cpu");
  }

  @Test
  void requireTakesNoOtherInstead() {
    assertThatThrownBy(() -> new Backends(List.of(CPU, BROKEN)).require("broken"))
        .isInstanceOf(BackendUnavailableException.class)
        .hasMessage("backend broken is unavailable: no such device");
  }

  @Test
  void bestTakesThePreferredThatIsAvailableAndLogsWhyNotTheOther() {
    Lines log = new Lines();
    try (Backend best = new Backends(List.of(CPU, BROKEN)).best(log)) {
      assertThat(best).isInstanceOf(CpuBackend.class);
      assertThat(log.lines)
          .containsExactly(
              "INFO backend " + best.description() + "; broken is unavailable: no such device");
    }
  }

  @Test
  void bestOfThoseInstalledIsTheCpu() {
    try (Backend best = Backend.best()) {
      assertThat(best.name()).isEqualTo("cpu");
    }
    assertThat(Backend.providers()).extracting(BackendProvider::name).containsExactly("cpu");
  }

  @Test
  void bestOfNoneSaysWhyNone() {
    assertThatThrownBy(() -> new Backends(List.of(BROKEN)).best(new Lines()))
        .isInstanceOf(BackendUnavailableException.class)
        .hasMessage("backend of any kind is unavailable: broken is unavailable: no such device");
  }

  private static final class Lines implements System.Logger {
    final List<String> lines = new ArrayList<>();

    @Override
    public String getName() {
      return "lines";
    }

    @Override
    public boolean isLoggable(Level level) {
      return true;
    }

    @Override
    public void log(Level level, ResourceBundle bundle, String message, Throwable thrown) {
      lines.add(level + " " + message);
    }

    @Override
    public void log(Level level, ResourceBundle bundle, String format, Object... parameters) {
      lines.add(level + " " + format);
    }
  }

  /** A provider that is preferred to the CPU and never available. */
  private static final class Broken implements BackendProvider {
    @Override
    public String name() {
      return "broken";
    }

    @Override
    public int preference() {
      return 1;
    }

    @Override
    public String unavailabilityCause() {
      return "no such device";
    }

    @Override
    public Backend open() {
      throw new AssertionError("an unavailable backend must not be opened");
    }
  }
}
