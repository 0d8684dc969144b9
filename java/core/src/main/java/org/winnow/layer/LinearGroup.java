package org.winnow.layer;

import static org.winnow.Tensor.ANY;

import java.lang.ref.Reference;
import org.winnow.Backend;
import org.winnow.Tensor;
import org.winnow.internal.NativeCall;
import org.winnow.op.GroupedGemm;

/**
 * Linear maps of one input, such as query, key and value of attention. They are computed together:
 * threads wait for each other once, rows that several maps round alike are rounded once, and a
 * device computes few rows in one launch. The bits are those of {@link Linear#run} of each map.
 * Safe for use from several threads.
 */
public final class LinearGroup {
  private final Linear[] maps;
  private final String[] outputNames;

  /**
   * @param maps at least one, all with the same input size and in the same memory; the caller keeps
   *     them open while this is used
   * @throws IllegalArgumentException if there is none, or naming the map whose input size or memory
   *     differs from that of the first
   */
  public LinearGroup(Linear... maps) {
    if (maps.length == 0) throw new IllegalArgumentException("maps must be at least 1, found 0");
    this.maps = maps.clone();
    outputNames = new String[maps.length];
    for (int i = 0; i < maps.length; i++) {
      Linear map = this.maps[i];
      if (map.inputSize() != inputSize())
        throw new IllegalArgumentException(
            "input size of maps[" + i + "] must be " + inputSize() + ", found " + map.inputSize());
      map.weight().requireIn("maps[" + i + "]", this.maps[0].weight().memory());
      outputNames[i] = "outputs[" + i + "]";
    }
  }

  public long inputSize() {
    return maps[0].inputSize();
  }

  /**
   * Computes all maps.
   *
   * @param input [T, inputSize], f32 or bf16
   * @param outputs one per map, [T, its outputSize], f32 or bf16, overwritten; none may overlap the
   *     input or another output
   * @throws IllegalArgumentException naming the argument whose shape or type is wrong; nothing has
   *     run then
   * @throws IllegalStateException if a tensor, a map or the backend is closed
   */
  public void run(Backend backend, Tensor input, Tensor... outputs) {
    if (outputs.length != maps.length)
      throw new IllegalArgumentException(
          "outputs must be " + maps.length + ", found " + outputs.length);
    GroupedGemm.Product[] products = new GroupedGemm.Product[maps.length];
    NativeCall call = NativeCall.enter();
    try {
      for (int i = 0; i < maps.length; i++) {
        maps[i].requireOpen();
        Tensor output = outputs[i];
        output.requireFloating(
            outputNames[i], input.rank() == 0 ? ANY : input.dim(0), maps[i].outputSize());
        for (int j = 0; j < i; j++)
          output.requireDisjoint(outputNames[i], outputNames[j], products[j].output());
        products[i] = maps[i].product(input, output);
      }
      GroupedGemm.runTogether(backend, products);
    } finally {
      call.exit();
      Reference.reachabilityFence(this);
    }
  }
}
