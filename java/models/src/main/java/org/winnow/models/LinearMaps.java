package org.winnow.models;

import java.util.HashSet;
import java.util.Objects;
import java.util.Set;
import org.jspecify.annotations.Nullable;
import org.winnow.memory.Checkpoint;
import org.winnow.models.DecoderSpec.DenseMlp;
import org.winnow.models.DecoderSpec.ExpertMlp;
import org.winnow.models.DecoderSpec.GroupedQueryAttention;
import org.winnow.models.DecoderSpec.LatentAttention;
import org.winnow.models.DecoderSpec.Projection;

/**
 * The large matrices of a decoder that nothing but a linear map reads, and that are multiplied in
 * the type in which they are stored. They can be arranged for it while they are read.
 */
final class LinearMaps {
  private final Checkpoint checkpoint;
  private final Set<String> names = new HashSet<>();

  private LinearMaps(Checkpoint checkpoint) {
    this.checkpoint = checkpoint;
  }

  /** Their names. The checkpoint has all weights of the decoder. */
  static Set<String> of(DecoderSpec spec, Checkpoint checkpoint) {
    LinearMaps maps = new LinearMaps(checkpoint);
    for (DecoderSpec.Layer layer : spec.layers()) {
      maps.add(layer.attention());
      if (layer.mlp() instanceof DenseMlp dense) maps.add(dense);
      if (layer.mlp() instanceof ExpertMlp experts) {
        if (experts.shared() != null) maps.add(experts.shared());
        maps.add(experts.sharedGate());
      }
    }
    maps.names.add(spec.output());
    maps.names.remove(spec.embedding()); // whose rows are looked up, even if it is the output too
    return maps.names;
  }

  private void add(DecoderSpec.Attention attention) {
    if (attention instanceof GroupedQueryAttention grouped) {
      add(grouped.query(), grouped.key(), grouped.value(), grouped.output());
    } else if (attention instanceof LatentAttention latent) {
      // not latentUp, whose halves are read one by one
      add(latent.queryDown(), latent.queryUp(), latent.latentDown(), latent.output());
    }
  }

  private void add(DenseMlp mlp) {
    add(mlp.down());
    boolean alike =
        Objects.equals(
            checkpoint.require(mlp.gate().weight()).dtype(),
            checkpoint.require(mlp.up().weight()).dtype());
    if (alike) add(mlp.gate(), mlp.up()); // otherwise they are widened
  }

  private void add(@Nullable Projection... projections) {
    for (Projection projection : projections)
      if (projection != null) names.add(projection.weight());
  }
}
