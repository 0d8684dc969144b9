package org.winnow.models;

import java.nio.FloatBuffer;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.memory.Checkpoint;
import org.winnow.memory.TensorInfo;

/**
 * Compares a model with the results of a reference that used the same weights.
 *
 * <p>The reference is a safetensors file. It holds {@code input_ids} [rows, length] i64 and any of:
 *
 * <ul>
 *   <li>{@code hidden.0} ... {@code hidden.L} [rows, length, hiddenSize] f32
 *   <li>{@code logits} [rows, length, vocabularySize] f32
 *   <li>{@code router_logits} [rows, layers, length, experts] f32
 *   <li>{@code greedy} [rows, longer] i64: the first ids of each row, then tokens that were chosen
 *       greedily, without ending at stop tokens
 * </ul>
 */
public final class Verifier {
  private Verifier() {}

  /**
   * The largest error of one tensor.
   *
   * @param name its name in the file
   * @param relativeError the largest error of an element, divided by the tensor's largest
   *     magnitude; infinite if an element is NaN or missing
   * @param worstIndex row-major index of the element with the largest error
   */
  public record TensorError(String name, double relativeError, long worstIndex) {}

  /**
   * The result of a comparison.
   *
   * @param tensors one entry for each tensor of the file that was compared
   * @param greedyTokens number of greedily chosen tokens that were compared; 0 if the file has none
   * @param greedyDifference the first difference among them, in words, or null
   * @param ignored tensors of the file that {@link Verifier} does not know
   */
  public record Report(
      List<TensorError> tensors,
      int greedyTokens,
      @Nullable String greedyDifference,
      List<String> ignored) {
    /**
     * Whether every element is within the tolerance and every greedy token is equal. False if
     * nothing was compared.
     */
    public boolean passes(double tolerance) {
      boolean within = !tensors.isEmpty() || greedyTokens > 0;
      for (TensorError tensor : tensors) within &= tensor.relativeError <= tolerance;
      return within && greedyDifference == null;
    }
  }

  /**
   * Compares a model with a reference.
   *
   * @param golden a reference file, as {@link Verifier} describes it
   * @throws CheckpointException if the file is not such a reference, or if its shapes are not those
   *     of the model
   */
  public static Report compare(LanguageModel model, Path golden) {
    try (Checkpoint checkpoint = Safetensors.open(golden)) {
      int[][] rows = ids(checkpoint, golden, "input_ids");
      Map<String, Comparison> comparisons = new LinkedHashMap<>();
      List<String> ignored = new ArrayList<>();
      for (String name : checkpoint.names()) {
        if (name.equals("logits") || name.equals("router_logits") || name.startsWith("hidden.")) {
          comparisons.put(name, new Comparison(name, checkpoint));
        } else if (!name.equals("input_ids") && !name.equals("greedy")) {
          ignored.add(name);
        }
      }
      try {
        for (int row = 0; row < rows.length; row++)
          model.forward(rows[row], 0, new RowListener(row, comparisons));
        List<TensorError> errors = new ArrayList<>();
        for (Comparison comparison : comparisons.values()) errors.add(comparison.result());
        int[] compared = new int[1];
        String difference =
            checkpoint.find("greedy") == null
                ? null
                : compareGreedy(model, rows, ids(checkpoint, golden, "greedy"), compared);
        return new Report(List.copyOf(errors), compared[0], difference, List.copyOf(ignored));
      } finally {
        comparisons.values().forEach(Comparison::close);
      }
    }
  }

  private static @Nullable String compareGreedy(
      LanguageModel model, int[][] rows, int[][] greedy, int[] compared) {
    int prompt = Integer.MAX_VALUE; // length of the prefix that every row shares with its input
    for (int row = 0; row < greedy.length; row++) {
      int mismatch =
          Arrays.mismatch(
              greedy[row],
              0,
              Math.min(greedy[row].length, rows[row].length),
              rows[row],
              0,
              Math.min(greedy[row].length, rows[row].length));
      prompt =
          Math.min(
              prompt, mismatch < 0 ? Math.min(greedy[row].length, rows[row].length) : mismatch);
    }
    for (int row = 0; row < greedy.length; row++) {
      GenerateOptions options =
          GenerateOptions.greedy(greedy[row].length - prompt).withStopIds(Set.of());
      int[] found =
          model.generate(Arrays.copyOf(greedy[row], prompt), options, TokenListener.NONE).ids();
      int[] expected = Arrays.copyOfRange(greedy[row], prompt, greedy[row].length);
      int difference = Arrays.mismatch(expected, found);
      if (difference >= 0) {
        return "row "
            + row
            + ", token "
            + (prompt + difference)
            + ": expected "
            + expected[difference]
            + ", found "
            + found[difference];
      }
      compared[0] += expected.length;
    }
    return null;
  }

  private static int[][] ids(Checkpoint checkpoint, Path golden, String name) {
    try (Tensor tensor = checkpoint.read(name)) {
      if (tensor.dtype() != DType.I64 || tensor.rank() != 2) {
        throw new CheckpointException(golden, name, "i64 of rank 2", tensor.toString());
      }
      int[][] ids = new int[(int) tensor.dim(0)][(int) tensor.dim(1)];
      for (int i = 0; i < tensor.size(); i++)
        ids[i / (int) tensor.dim(1)][i % (int) tensor.dim(1)] = Math.toIntExact(tensor.getLong(i));
      return ids;
    }
  }

  /** Passes the results of one row's forward pass to the comparisons. */
  private record RowListener(int row, Map<String, Comparison> comparisons)
      implements ForwardListener {
    @Override
    public void onHidden(int layer, int firstPosition, Tensor hidden) {
      compare("hidden." + layer, row, firstPosition, hidden);
    }

    @Override
    public void onRouterLogits(int layer, int firstPosition, Tensor routerLogits) {
      Comparison comparison = comparisons.get("router_logits");
      if (comparison != null)
        compare("router_logits", row * comparison.shape[1] + layer, firstPosition, routerLogits);
    }

    @Override
    public void onLogits(int firstPosition, Tensor logits) {
      compare("logits", row, firstPosition, logits);
    }

    private void compare(String name, long matrix, int firstPosition, Tensor found) {
      Comparison comparison = comparisons.get(name);
      if (comparison != null) comparison.add(matrix, firstPosition, found);
    }
  }

  /** One tensor of the file, [..., length, width], and the errors found in it so far. */
  private static final class Comparison implements AutoCloseable {
    private final String name;
    private final long[] shape;
    private final Path file;
    private final Tensor expected;
    private final float largestMagnitude;
    private double largestError;
    private long worstIndex;
    private long elements;

    Comparison(String name, Checkpoint checkpoint) {
      TensorInfo info = checkpoint.require(name);
      int rank = name.equals("router_logits") ? 4 : 3;
      if (info.dtype() != DType.F32 || info.shape().length != rank) {
        throw new CheckpointException(info.file(), name, "F32 of rank " + rank, info.toString());
      }
      this.name = name;
      this.shape = info.shape();
      this.file = info.file();
      this.expected = checkpoint.read(name);
      float largest = 0;
      for (float value : expected.toFloatArray()) largest = Math.max(largest, Math.abs(value));
      this.largestMagnitude = largest;
    }

    void add(long matrix, int firstPosition, Tensor found) {
      int width = (int) shape[shape.length - 1];
      long begin = (matrix * shape[shape.length - 2] + firstPosition) * width;
      if (found.dim(1) != width || begin + found.size() > expected.size()) {
        throw new CheckpointException(
            file,
            name,
            "rows of " + width + " and " + expected.size() + " elements",
            found + " at " + begin);
      }
      FloatBuffer expectedValues = expected.asByteBuffer().asFloatBuffer();
      float[] foundValues = found.toFloatArray();
      for (int i = 0; i < foundValues.length; i++) {
        double error = Math.abs((double) foundValues[i] - expectedValues.get((int) begin + i));
        if (error != error) error = Double.POSITIVE_INFINITY;
        if (error > largestError) {
          largestError = error;
          worstIndex = begin + i;
        }
      }
      elements += found.size();
    }

    TensorError result() {
      boolean complete = elements == expected.size();
      return new TensorError(
          name, complete ? largestError / largestMagnitude : Double.POSITIVE_INFINITY, worstIndex);
    }

    @Override
    public void close() {
      expected.close();
    }
  }
}
