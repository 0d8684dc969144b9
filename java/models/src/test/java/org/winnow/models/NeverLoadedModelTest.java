package org.winnow.models;

import static org.junit.jupiter.api.Assertions.assertArrayEquals;
import static org.junit.jupiter.api.Assertions.assertEquals;
import static org.junit.jupiter.api.Assertions.assertThrows;
import static org.junit.jupiter.api.Assertions.assertTrue;

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

/** Of a whole, trained model only the experts that a token chose are read. */
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
      // the last token was not fed
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
    assertTrue(chosen.size() > 16 && chosen.size() < 128, () -> "chosen: " + chosen.size());
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
      assertEquals(chosen.size(), counters.misses());
      assertEquals(chosen.size(), counters.distinctExperts());
      long stored = (long) chosen.size() * EXPERT_BYTES;
      assertTrue(
          counters.demandBytesRead() >= stored
              && counters.demandBytesRead() <= stored + chosen.size() * 6 * 4096L,
          counters::toString);
      // The kernel's count of what this process read: the experts, and its own figures.
      assertTrue(
          read >= counters.demandBytesRead() && read <= counters.demandBytesRead() + 65_536,
          read + " for " + counters.demandBytesRead());
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
          assertArrayEquals(text, model.generate(PROMPT, GREEDY, TokenListener.NONE).ids());
        }
      }
    }
  }

  /** The check above can fail: one chosen expert of NaN is seen. */
  @Test
  void aChosenOneMayNot() throws IOException {
    fillWithNan(Set.of(chosen.iterator().next()), true);
    try (LanguageModel model = LanguageModel.open(folder, LoadOptions.defaults())) {
      assertThrows(
          InvalidLogitsException.class, () -> model.generate(PROMPT, GREEDY, TokenListener.NONE));
    }
  }

  /** Overwrites the experts that are in the set, or those that are not. */
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
