package org.winnow.attention;

import java.nio.ByteBuffer;
import org.winnow.Backend;
import org.winnow.DType;
import org.winnow.Matrix;
import org.winnow.Tensor;
import org.winnow.TensorMemory;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCall;
import org.winnow.internal.Resources;
import org.winnow.op.Activation;
import org.winnow.op.ExpertMatrices;
import org.winnow.op.GroupedGemm;

/**
 * W^UK and W^UV per head, as the absorbed form of {@link MlaAttention} multiplies by them. The
 * products per head are a grouped GEMM with heads as experts and rows ordered by head.
 */
final class AbsorbedWeights implements AutoCloseable {
  private final int numHeads;
  private final int nopeWidth;
  private final long latentWidth;
  private final Tensor keysTransposed; // [numHeads, latentWidth, nopeWidth]: (W^UK_h)^T
  private final ExpertMatrices absorbKeys;
  private final ExpertMatrices absorbValues;

  /**
   * @param up {@link MlaAttention.Weights#latentUp}, kept open by the caller
   * @param activations f32 or bf16
   */
  AbsorbedWeights(MlaAttention.Geometry geometry, long latentWidth, Tensor up, DType activations) {
    this.numHeads = geometry.numHeads();
    this.nopeWidth = geometry.nopeWidth();
    this.latentWidth = latentWidth;
    int valueWidth = geometry.valueWidth();
    long headRows = nopeWidth + (long) valueWidth;
    TensorMemory memory = up.memory();
    WeightFormat format = WeightFormat.of(up.dtype());
    DType product = ExpertMatrices.productType(format, activations);
    Resources open = new Resources();
    try {
      keysTransposed = open.keep(transposedKeys(up, headRows));
      absorbKeys =
          open.keep(
              new ExpertMatrices(
                  memory,
                  format,
                  WeightLayout.ROWS,
                  product,
                  numHeads,
                  latentWidth,
                  nopeWidth,
                  false,
                  false));
      absorbValues =
          open.keep(
              new ExpertMatrices(
                  memory,
                  format,
                  WeightLayout.ROWS,
                  product,
                  numHeads,
                  valueWidth,
                  latentWidth,
                  false,
                  false));
      for (int h = 0; h < numHeads; h++) {
        Tensor keys = keysTransposed.slice(h, h + 1L).reshape(latentWidth, nopeWidth);
        Tensor values = up.slice(h * headRows + nopeWidth, (h + 1) * headRows);
        absorbKeys.set(h, Matrix.of(keys), null, null, null);
        absorbValues.set(h, Matrix.of(values), null, null, null);
      }
    } catch (RuntimeException | Error e) {
      open.closeAfter(e);
      throw e;
    }
  }

  /**
   * Multiplies queries by (W^UK_h)^T.
   *
   * @param queries [numHeads * numTokens, nopeWidth]
   * @param output [numHeads * numTokens, latentWidth]
   */
  void multiplyByKeys(Backend backend, Tensor queries, MlaWorkspace workspace, Tensor output) {
    perHead(backend, queries, absorbKeys, workspace, output);
  }

  /**
   * Multiplies attended latents by W^UV_h.
   *
   * @param latents [numHeads * numTokens, latentWidth]
   * @param output [numHeads * numTokens, valueWidth]
   */
  void multiplyByValues(Backend backend, Tensor latents, MlaWorkspace workspace, Tensor output) {
    perHead(backend, latents, absorbValues, workspace, output);
  }

  private void perHead(
      Backend backend,
      Tensor input,
      ExpertMatrices matrices,
      MlaWorkspace workspace,
      Tensor output) {
    long rowsPerHead = input.dim(0) / numHeads;
    GroupedGemm.run(
        backend,
        input,
        null,
        workspace.headOffsets(numHeads, rowsPerHead),
        workspace.heads(numHeads),
        numHeads,
        matrices,
        Activation.NONE,
        output);
  }

  private Tensor transposedKeys(Tensor up, long headRows) {
    if (up.memory().isHost()) return transposedOnHost(up, headRows);
    try (Tensor copy = Tensor.copyOf(TensorMemory.host(), up);
        Tensor transposed = transposedOnHost(copy, headRows)) {
      return Tensor.copyOf(up.memory(), transposed);
    }
  }

  private Tensor transposedOnHost(Tensor up, long headRows) {
    Tensor transposed = Tensor.allocate(up.dtype(), numHeads, latentWidth, nopeWidth);
    NativeCall call = NativeCall.enter(); // a close() on another thread waits
    try {
      for (int h = 0; h < numHeads; h++)
        transpose(
            Internals.bytes(up.slice(h * headRows, h * headRows + nopeWidth)),
            Internals.bytes(transposed.slice(h, h + 1L)),
            up.dtype().sizeBytes());
    } finally {
      call.exit();
    }
    return transposed;
  }

  /** One head's keys [nopeWidth, latentWidth] to [latentWidth, nopeWidth]. */
  private void transpose(ByteBuffer source, ByteBuffer target, int elementBytes) {
    for (int column = 0; column < latentWidth; column++) {
      for (int row = 0; row < nopeWidth; row++) {
        int from = Math.toIntExact((row * latentWidth + column) * elementBytes);
        int to = (column * nopeWidth + row) * elementBytes;
        if (elementBytes == 4) target.putInt(to, source.getInt(from));
        else target.putShort(to, source.getShort(from));
      }
    }
  }

  /** Releases the tensors that this allocated. May be called twice. */
  @Override
  public void close() {
    Resources.closeAll(absorbKeys, absorbValues, keysTransposed);
  }
}
