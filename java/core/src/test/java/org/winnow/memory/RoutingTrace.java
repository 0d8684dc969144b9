package org.winnow.memory;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.Arrays;
import java.util.regex.Matcher;
import java.util.regex.Pattern;

/**
 * Recorded choices of experts, one token after the other through all layers, replayed against a
 * policy without reading any weights.
 */
public final class RoutingTrace {
  public final int numTokens;
  public final int numLayers;
  public final int topK;
  public final int expertsPerLayer;
  private final byte[] choices; // [token, layer, slot]

  private RoutingTrace(
      byte[] choices, int numTokens, int numLayers, int topK, int expertsPerLayer) {
    this.choices = choices;
    this.numTokens = numTokens;
    this.numLayers = numLayers;
    this.topK = topK;
    this.expertsPerLayer = expertsPerLayer;
  }

  /**
   * Tensor {@code expert} [tokens, layers, slots] u8 of a file such as
   * models/kjv-moe/routing.safetensors, the first tokens of it.
   */
  public static RoutingTrace read(Path file, int expertsPerLayer, int maxTokens)
      throws IOException {
    ByteBuffer bytes = ByteBuffer.wrap(Files.readAllBytes(file)).order(ByteOrder.LITTLE_ENDIAN);
    int headerBytes = (int) bytes.getLong(0);
    String header = new String(bytes.array(), 8, headerBytes, StandardCharsets.UTF_8);
    Matcher tensor =
        Pattern.compile(
                "\"expert\":\\{\"dtype\":\"U8\",\"shape\":\\[(\\d+),(\\d+),(\\d+)],\"data_offsets\":\\[(\\d+),")
            .matcher(header);
    if (!tensor.find()) throw new IOException(file + ": no tensor expert of u8");
    int numTokens = Math.min(maxTokens, Integer.parseInt(tensor.group(1)));
    int numLayers = Integer.parseInt(tensor.group(2));
    int topK = Integer.parseInt(tensor.group(3));
    int begin = 8 + headerBytes + Integer.parseInt(tensor.group(4));
    return new RoutingTrace(
        Arrays.copyOfRange(bytes.array(), begin, begin + numTokens * numLayers * topK),
        numTokens,
        numLayers,
        topK,
        expertsPerLayer);
  }

  /** The project's own model, found from the folder that a test or benchmark runs in. */
  public static RoutingTrace ofKjvMoe(int maxTokens) throws IOException {
    for (Path folder = Path.of("").toAbsolutePath(); folder != null; folder = folder.getParent()) {
      Path file = folder.resolve("models/kjv-moe/routing.safetensors");
      if (Files.exists(file)) return read(file, 32, maxTokens);
    }
    throw new IOException("models/kjv-moe is in no folder above " + Path.of("").toAbsolutePath());
  }

  /** The experts of a token in a layer, ascending. */
  public int[] experts(int token, int layer) {
    int[] ids = new int[topK];
    for (int i = 0; i < topK; i++) ids[i] = choices[(token * numLayers + layer) * topK + i];
    Arrays.sort(ids);
    return ids;
  }

  /** Hits as a share of all choices, with room for so many experts of any layers. */
  public double hitRate(EvictionPolicy policy, int numSlots) {
    policy.begin(numLayers * expertsPerLayer);
    return replay(
        numSlots,
        new Ranking() {
          @Override
          public void used(int expert, int token, int layer) {
            policy.used(expert, token + 1);
          }

          @Override
          public double rank(int expert) {
            return policy.rank(expert);
          }
        });
  }

  /** Belady's bound: evicts what is needed again last, which only a recording can know. */
  public double beladyHitRate(int numSlots) {
    int[][] uses =
        new int[numLayers * expertsPerLayer][]; // times at which each expert is used, ascending
    int[] count = new int[uses.length];
    for (int pass = 0; pass < 2; pass++) {
      if (pass == 1) for (int e = 0; e < uses.length; e++) uses[e] = new int[count[e]];
      Arrays.fill(count, 0);
      for (int token = 0; token < numTokens; token++) {
        for (int layer = 0; layer < numLayers; layer++) {
          for (int id : experts(token, layer)) {
            int expert = layer * expertsPerLayer + id;
            if (pass == 1) uses[expert][count[expert]] = token * numLayers + layer;
            count[expert]++;
          }
        }
      }
    }
    int[] seen = new int[uses.length];
    return replay(
        numSlots,
        new Ranking() {
          @Override
          public void used(int expert, int token, int layer) {
            seen[expert]++;
          }

          @Override
          public double rank(int expert) {
            return seen[expert] < uses[expert].length
                ? -uses[expert][seen[expert]]
                : Double.NEGATIVE_INFINITY;
          }
        });
  }

  private interface Ranking {
    void used(int expert, int token, int layer);

    double rank(int expert);
  }

  private double replay(int numSlots, Ranking ranking) {
    int[] resident = new int[numSlots]; // experts, in no order
    boolean[] isResident = new boolean[numLayers * expertsPerLayer];
    boolean[] isChosen = new boolean[isResident.length];
    int numResident = 0;
    long hits = 0;
    for (int token = 0; token < numTokens; token++) {
      for (int layer = 0; layer < numLayers; layer++) {
        int[] ids = experts(token, layer);
        for (int id : ids) {
          int expert = layer * expertsPerLayer + id;
          ranking.used(expert, token, layer);
          isChosen[expert] = true;
          if (isResident[expert]) hits++;
        }
        for (int id : ids) {
          int expert = layer * expertsPerLayer + id;
          if (isResident[expert]) continue;
          int slot = numResident;
          if (numResident < numSlots) {
            numResident++;
          } else {
            slot = lowest(resident, isChosen, ranking);
            isResident[resident[slot]] = false;
          }
          resident[slot] = expert;
          isResident[expert] = true;
        }
        for (int id : ids) isChosen[layer * expertsPerLayer + id] = false;
      }
    }
    return (double) hits / ((long) numTokens * numLayers * topK);
  }

  private static int lowest(int[] resident, boolean[] isChosen, Ranking ranking) {
    int best = -1;
    for (int slot = 0; slot < resident.length; slot++) {
      if (!isChosen[resident[slot]]
          && (best < 0 || ranking.rank(resident[slot]) < ranking.rank(resident[best]))) best = slot;
    }
    return best;
  }
}
