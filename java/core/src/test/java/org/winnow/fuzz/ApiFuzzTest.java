package org.winnow.fuzz;

import static org.assertj.core.api.Assertions.assertThat;

import java.nio.file.Path;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.Tensor;

/**
 * No program can end the JVM or make it wait forever, whatever it calls with whatever arguments,
 * and every exception is one that the documentation names. A seed makes the same calls again; on
 * failure the report names the seed and the last calls.
 *
 * <p>System properties: {@code winnow.fuzz.seed}, {@code winnow.fuzz.calls} and {@code
 * winnow.fuzz.seconds} say what is called and for how long.
 */
class ApiFuzzTest {
  private static final long SEED = Long.getLong("winnow.fuzz.seed", 1);
  private static final long CALLS = Long.getLong("winnow.fuzz.calls", Long.MAX_VALUE);
  private static final long SECONDS = Long.getLong("winnow.fuzz.seconds", 120);

  /** Calls of a method from which on its share of values says something. */
  private static final long ENOUGH_CALLS = 300;

  /** On the machines that run this no call of these can give a value. */
  private static final Set<String> NEVER_DONE =
      Set.of(
          "Activation.valueOf(String)",
          "Backend.capture(Runnable)",
          "TensorMemory.openTransfers()");

  @Test
  void everyCallEndsAsDocumented(@TempDir Path folder) throws Exception {
    FuzzCampaign campaign = new FuzzCampaign(SEED, CALLS, SECONDS, folder);

    campaign.run();

    System.out.println(campaign.summary());
    assertThat(campaign.findings().keySet()).as(campaign.report()).isEmpty();
    assertThat(campaign.seldomDone(ENOUGH_CALLS, 0.01))
        .as("methods whose calls nearly all end at a check")
        .filteredOn(key -> !NEVER_DONE.contains(key) && !key.contains(".valueOf("))
        .isEmpty();
  }

  @Test
  void everyRecipeIsOfAMethodThatIsThere() {
    Set<String> keys =
        new ExportedApi(Tensor.class)
            .members().stream().map(ExportedApi.Member::key).collect(Collectors.toSet());
    Set<String> stale = new TreeSet<>(Recipes.keys());
    stale.removeAll(keys);

    assertThat(stale).isEmpty();
  }

  @Test
  void aCallThatCrashesIsAFinding(@TempDir Path folder) throws Exception {
    // the memory at an address of the first page is nobody's
    FuzzCampaign campaign = new FuzzCampaign(SEED, 1, 30, folder);
    campaign.runChildThat("crashes");

    assertThat(campaign.findings()).hasSize(1);
    assertThat(campaign.findings().firstKey()).startsWith("crash at ");
  }

  @Test
  void aCallThatHangsIsAFinding(@TempDir Path folder) throws Exception {
    FuzzCampaign campaign = new FuzzCampaign(SEED, 1, 30, folder);
    campaign.runChildThat("hangs");

    assertThat(campaign.findings()).hasSize(1);
    assertThat(campaign.findings().firstKey()).startsWith("hang at ");
  }
}
