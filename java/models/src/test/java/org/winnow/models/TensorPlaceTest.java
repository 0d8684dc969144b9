package org.winnow.models;

import static org.assertj.core.api.Assertions.assertThat;

import org.junit.jupiter.api.Test;
import org.junit.jupiter.params.ParameterizedTest;
import org.junit.jupiter.params.provider.CsvSource;

class TensorPlaceTest {
  /** The spellings of published families. */
  @ParameterizedTest
  @CsvSource({
    "model.layers.3.mlp.experts.7.up_proj.weight, 2, model.layers, 3, 7",
    "model.layers.3.block_sparse_moe.experts.7.w1.weight, 2, model.layers, 3, 7",
    "model.layers.3.feed_forward.experts.7.w3.weight, 2, model.layers, 3, 7",
    "layers.3.ffn.experts.7.w2.weight, 2, layers, 3, 7",
    "backbone.layers.3.mixer.experts.7.up_proj.weight, 2, backbone.layers, 3, 7",
    "layers.3.experts.7.w1.weight, 2, layers, 3, 7",
    "encoder.block.3.layer.1.mlp.experts.expert_7.wi.weight, 2, encoder.block, 3, 7",
    "model.decoder.layers.3.ffn.experts.expert_7.fc1.weight, 2, model.decoder.layers, 3, 7",
    "h.3.mlp.deepspeed_moe.experts.deepspeed_experts.7.fc.weight, 2, h, 3, 7",
    "layer_3.moe.experts.7.w1.weight, 2, layer, 3, 7",
    "experts.7.w1.weight, 2, '', 0, 7",
    "model.language_model.layers.3.mlp.experts.gate_up_proj, 3, model.language_model.layers, 3, -2",
    "model.layers.3.mlp.experts.gate_up_proj_blocks, 4, model.layers, 3, -2",
    "model.layers.3.mlp.experts.down_proj_bias, 2, model.layers, 3, -2",
    "model.layers.3.mlp.experts.w13_weight, 3, model.layers, 3, -2",
    "transformer.blocks.3.ffn.experts.mlp.w1, 2, transformer.blocks, 3, -2",
    "model.layers.3.moe.gate_proj.weight, 3, model.layers, 3, -2",
    "model.layers.3.block_sparse_moe.input_linear.weight, 3, model.layers, 3, -2",
    "model.layers.3.mlp.output_linear.weight, 3, model.layers, 3, -2",
    "model.layers.3.mlp.switch_mlp.up_proj.scales, 3, model.layers, 3, -2",
    "block.3.mlp.mlp1_weight.blocks, 4, block, 3, -2",
    "blk.3.ffn_up_exps.weight, 3, blk, 3, -2",
    "model.layers.3.shared_mlp.input_linear.weight, 2, model.layers, 3, -1",
    "model.layers.3.mlp.shared_experts.up_proj.weight, 2, model.layers, 3, -1",
    "model.layers.3.moe.gate.weight, 2, model.layers, 3, -1",
    "model.layers.3.mlp.gate.weight, 2, model.layers, 3, -1",
    "h.3.attn.c_attn.weight, 2, h, 3, -1",
    "model.vision_tower.encoder.layers.3.mlp.fc1.weight, 2, model.vision_tower.encoder.layers, 3, -1",
    "visual.blocks.3.attn.qkv.weight, 2, visual.blocks, 3, -1",
    "mm_projector.0.weight, 2, '', -1, -1",
    "model.layers.weight, 2, '', -1, -1",
    "model.layers.12345678.weight, 2, '', -1, -1",
    "model.layers.3x.weight, 2, '', -1, -1",
    "lm_head.weight, 2, '', -1, -1",
    "'', 1, '', -1, -1",
    "..., 1, '', -1, -1",
    "experts, 3, '', 0, -2",
    "layers.3, 1, layers, 3, -1"
  })
  void knowsTheSpellingsOfFamilies(String name, int rank, String stack, int layer, int expert) {
    assertThat(TensorPlace.of(name, rank)).isEqualTo(new TensorPlace(stack, layer, expert, false));
  }

  @Test
  void tellsModulesForFurtherTokensApart() {
    assertThat(TensorPlace.of("mtp.layers.0.mlp.experts.1.up_proj.weight", 2).furtherTokens())
        .isTrue();
    assertThat(TensorPlace.of("model.mtp.norm.weight", 1).furtherTokens()).isTrue();
    assertThat(TensorPlace.isOfFurtherLayer("model.layers.61.eh_proj.weight")).isTrue();
    assertThat(TensorPlace.isOfFurtherLayer("model.layers.61.mlp.up_proj.weight")).isFalse();
  }

  @Test
  void tellsSharedExpertsAndRoutersApart() {
    for (String shared :
        new String[] {
          "model.layers.0.mlp.shared_expert.up_proj.weight",
          "model.layers.0.mlp.shared_experts.up_proj.weight",
          "model.layers.0.mlp.shared_expert_gate.weight",
          "model.layers.0.share_expert.up_proj.weight",
          "model.layers.0.mlp.shared_mlp.up_proj.weight",
          "blk.0.ffn_up_shexp.weight"
        }) {
      assertThat(TensorPlace.isShared(shared)).as(shared).isTrue();
      assertThat(TensorPlace.isRouter(shared)).as(shared).isFalse();
    }
    for (String router :
        new String[] {
          "model.layers.0.mlp.gate.weight",
          "model.layers.0.mlp.router.weight",
          "transformer.blocks.0.ffn.router.layer.weight",
          "encoder.block.1.layer.1.mlp.router.classifier.weight",
          "blk.0.ffn_gate_inp.weight"
        }) assertThat(TensorPlace.isRouter(router)).as(router).isTrue();
    assertThat(TensorPlace.isRouter("model.layers.0.mlp.gate_proj.weight")).isFalse();
  }
}
