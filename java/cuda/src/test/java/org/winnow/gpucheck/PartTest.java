package org.winnow.gpucheck;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.util.List;
import org.junit.jupiter.api.Test;

class PartTest {
  private static int sum(List<Part.Planned> planned) {
    return planned.stream().mapToInt(Part.Planned::seconds).sum();
  }

  @Test
  void eightMinutesHoldAllParts() {
    int seconds = 8 * 60 - Part.RESERVE_SECONDS;
    List<Part.Planned> planned = Part.plan(Part.ALL, seconds);
    assertThat(planned).allMatch(Part.Planned::runs);
    assertThat(sum(planned)).isLessThanOrEqualTo(seconds);
    assertThat(planned).allMatch(p -> p.seconds() == p.part().limitSeconds());
  }

  @Test
  void aPartThatDoesNotFitIsLeftOutAndALaterOneMayFit() {
    List<Part.Planned> planned =
        Part.plan(List.of(Part.DEVICE, Part.LARGE, Part.BACKEND), Part.DEVICE.limitSeconds() + 15);
    assertThat(planned).extracting(Part.Planned::seconds).containsExactly(20, 0, 15);
  }

  @Test
  void whateverTheTimeThePlanKeepsIt() {
    int all = sum(Part.plan(Part.ALL, 470));
    for (int seconds = -5; seconds < 700; seconds++) {
      boolean isScarce = seconds <= all;
      List<Part.Planned> planned = Part.plan(Part.ALL, seconds);
      assertThat(sum(planned)).isLessThanOrEqualTo(Math.max(0, seconds));
      assertThat(planned)
          .allMatch(p -> !p.runs() || p.seconds() >= p.part().minSeconds())
          .allMatch(p -> !isScarce || p.seconds() <= p.part().limitSeconds())
          .allMatch(p -> isScarce || p.seconds() >= p.part().limitSeconds());
    }
  }

  @Test
  void timeThatIsLeftIsShared() {
    assertThat(Part.plan(List.of(Part.DEVICE, Part.MODEL), 300))
        .extracting(Part.Planned::seconds)
        .containsExactly(100, 200);
  }

  @Test
  void wrongArgumentsAreNamed() {
    assertThatThrownBy(() -> Options.parse("home", "--only", "device,large,slow"))
        .hasMessageStartingWith("there is no part slow; there are device, small, ");
    assertThatThrownBy(() -> Options.parse("home", "--minutes", "0"))
        .hasMessage("--minutes must lie in [0.5, 600], found 0");
    assertThatThrownBy(() -> Options.parse("home", "--minutes"))
        .hasMessage("--minutes needs a value");
    assertThatThrownBy(() -> Options.parse("home", "--stand-in", "/nowhere/libcuda.so.1"))
        .hasMessage("--stand-in must be a file libcuda.so.1, found /nowhere/libcuda.so.1");
    assertThatThrownBy(() -> Options.parse("home", "--fast"))
        .hasMessage("unknown argument --fast; see --help");
  }

  @Test
  void partsRunInTheirOrderWhateverTheOrderOfTheirNames() {
    assertThat(Options.parse("home", "--only", "kernels,device").parts())
        .containsExactly(Part.DEVICE, Part.KERNELS);
  }
}
