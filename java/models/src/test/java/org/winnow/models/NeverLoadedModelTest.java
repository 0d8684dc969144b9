package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;
import static org.assertj.core.api.Assertions.assertThatThrownBy;

import java.io.IOException;
import java.io.RandomAccessFile;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.Set;
import java.util.TreeSet;
import org.junit.jupiter.api.BeforeEach;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;
import org.winnow.InvalidLogitsException;
import org.winnow.Tensor;
import org.winnow.memory.ExpertCounters;
import org.winnow.memory.TensorInfo;

/** A trained model reads only the experts that a token chose. */
class NeverLoadedModelTest {
  private static final int[] PROMPT = {0, 80, 432, 17, 260};
  private static final GenerateOptions GREEDY = GenerateOptions.greedy(10).withStopIds(Set.of());
  private static final int EXPERT_BYTES = 3 * 96 * 256 * 2;

  @TempDir Path folder;
  private final Set<String> chosen = new TreeSet<>(); // prefixes of the tensors of chosen experts
  private int[] text;

  @BeforeEach
  void recordWhatIsChosen() throws IOException {
    for (String name : new String[] {"config.json", "model.safetensors"})
      Files.copy(Goldens.kjvMoe().resolve(name), folder.resolve(name));
    try (LanguageModel model = LanguageModel.open(folder, LoadOptions.defaults())) {
      text = model.generate(PROMPT, GREEDY, TokenListener.NONE).ids();
      // the last token was generated but not computed
      int[] computed = Arrays.copyOf(PROMPT, PROMPT.length + text.length - 1);
      System.arraycopy(text, 0, computed, PROMPT.length, text.length - 1);
      model.forward(
          computed,
          computed.length,
          new ForwardListener() {
            @Override
            public void onRouterLogits(int layer, int firstPosition, Tensor routerLogits) {
              float[] logits = routerLogits.toFloatArray();
              for (int row = 0; row < logits.length; row += 32) {
                float[] sorted = Arrays.copyOfRange(logits, row, row + 32);
                Arrays.sort(sorted);
                for (int e = 0; e < 32; e++)
                  if (logits[row + e] >= sorted[28]) chosen.add(prefix(layer, e));
              }
            }
          });
    }
    assertThat(chosen).hasSizeBetween(17, 127);
  }

  private static String prefix(int layer, int expert) {
    return "model.layers." + layer + ".mlp.experts." + expert + ".";
  }

  @Test
  void missesAreTheDistinctExpertsChosenAndBytesAreTheirs() throws IOException {
    try (LanguageModel model = LanguageModel.open(folder, LoadOptions.defaults())) {
      long before = bytesRead();
      model.generate(PROMPT, GREEDY, TokenListener.NONE);
      long read = bytesRead() - before;
      ExpertCounters counters = model.expertCounters();
      assertThat(counters.misses()).isEqualTo(chosen.size());
      assertThat(counters.distinctExperts()).isEqualTo(chosen.size());
      long stored = (long) chosen.size() * EXPERT_BYTES;
      assertThat(counters.demandBytesRead())
          .as(counters.toString())
          .isBetween(stored, stored + chosen.size() * 6 * 4096L);
      // The operating system's count of the bytes that this process read: the experts, and the
      // count itself.
      assertThat(read).isBetween(counters.demandBytesRead(), counters.demandBytesRead() + 65_536);
    }
  }

  @Test
  void theOthersMayBeAnything() throws IOException {
    fillWithNan(chosen, false);
    for (double share : new double[] {0.1, 0.5, 1}) {
      for (boolean readAhead : new boolean[] {false, true}) {
        LoadOptions options =
            LoadOptions.defaults().withBudget(ExpertBudget.ofShare(share)).withReadAhead(readAhead);
        try (LanguageModel model = LanguageModel.open(folder, options)) {
          assertThat(model.generate(PROMPT, GREEDY, TokenListener.NONE).ids()).isEqualTo(text);
        }
      }
    }
  }

  /** The test above can fail: a single chosen expert of NaN is noticed. */
  @Test
  void aChosenOneMayNot() throws IOException {
    fillWithNan(Set.of(chosen.iterator().next()), true);
    try (LanguageModel model = LanguageModel.open(folder, LoadOptions.defaults())) {
      assertThatThrownBy(() -> model.generate(PROMPT, GREEDY, TokenListener.NONE))
          .isInstanceOf(InvalidLogitsException.class);
    }
  }

  /** Overwrites the experts that are in the set if {@code inside}, else those that are not. */
  private void fillWithNan(Set<String> prefixes, boolean inside) throws IOException {
    Path weights = folder.resolve("model.safetensors");
    try (RandomAccessFile file = new RandomAccessFile(weights.toFile(), "rw")) {
      for (TensorInfo tensor : Safetensors.tensors(weights)) {
        int end =
            tensor.name().lastIndexOf('.', tensor.name().length() - ".weight".length() - 1) + 1;
        if (!tensor.name().contains(".experts.")
            || prefixes.contains(tensor.name().substring(0, end)) != inside) continue;
        byte[] nan = new byte[(int) tensor.sizeBytes()];
        Arrays.fill(nan, (byte) 0xff);
        file.seek(tensor.offset());
        file.write(nan);
      }
    }
  }

  private static long bytesRead() throws IOException {
    for (String line : Files.readAllLines(Path.of("/proc/self/io")))
      if (line.startsWith("rchar: ")) return Long.parseLong(line.substring(7));
    throw new IOException("/proc/self/io has no rchar");
  }
}
