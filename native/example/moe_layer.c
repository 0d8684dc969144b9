// A whole mixture-of-experts layer through Winnow's C interface, over memory of this program: router logits, top-k
// routing, plan, gated expert GEMM, down GEMM, combination. Every result is compared with plain loops.
//
//   cc -std=c11 moe_layer.c -lwinnow -lm -o moe_layer && ./moe_layer

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "winnow.h"

enum { TOKENS = 13, HIDDEN = 40, INTERMEDIATE = 24, EXPERTS = 6, TOP_K = 2, PAIRS = TOKENS * TOP_K };

static winnow_cpu* cpu;

// Ends the program unless an operation has done its work. Returns the number that it tells.
static int64_t done(const char* operation, winnow_status status, const int64_t* detail) {
  if (status == WINNOW_DONE) return *detail;
  if (status == WINNOW_REFUSED) {
    fprintf(stderr, "%s refuses its input, detail %lld\n", operation, (long long)*detail);
  } else {
    fprintf(stderr, "%s: %s\n", operation, winnow_last_error());
  }
  exit(1);
}

static void* allocate(size_t count, size_t element_bytes) {
  void* memory = calloc(count, element_bytes);
  if (memory == NULL) {
    fprintf(stderr, "out of memory\n");
    exit(1);
  }
  return memory;
}

// Small integers, so that sums are exact in any order.
static float* integers(size_t count, unsigned multiplier) {
  float* values = allocate(count, sizeof *values);
  for (size_t i = 0; i < count; ++i) values[i] = (float)((int)((i * multiplier + i / 7) % 5) - 2);
  return values;
}

static void compare(const char* what, size_t i, double found, double expected, double bound) {
  if (fabs(found - expected) <= bound) return;  // false for NaN
  fprintf(stderr, "%s[%zu] is %.9g, expected %.9g\n", what, i, found, expected);
  exit(1);
}

static double product(const float* row, const float* matrix_row, int size) {
  double sum = 0;
  for (int k = 0; k < size; ++k) sum += (double)row[k] * matrix_row[k];
  return sum;
}

int main(void) {
  if (winnow_abi_version() != WINNOW_ABI_VERSION) {
    fprintf(stderr, "the library has ABI version %d, this program needs %d\n", (int)winnow_abi_version(),
            WINNOW_ABI_VERSION);
    return 1;
  }
  if (winnow_cpu_open(winnow_cpu_best_instruction_set(), 0) != NULL) return 1;  // no threads: an error on purpose
  if (winnow_last_error()[0] == '\0') return 1;
  cpu = winnow_cpu_open(winnow_cpu_best_instruction_set(), 2);
  if (cpu == NULL) {
    fprintf(stderr, "winnow_cpu_open: %s\n", winnow_last_error());
    return 1;
  }

  float* input = integers((size_t)TOKENS * HIDDEN, 3);
  float* router = integers((size_t)EXPERTS * HIDDEN, 11);
  float* gate = integers((size_t)EXPERTS * INTERMEDIATE * HIDDEN, 7);
  float* up = integers((size_t)EXPERTS * INTERMEDIATE * HIDDEN, 13);
  float* down = integers((size_t)EXPERTS * HIDDEN * INTERMEDIATE, 17);
  float* logits = allocate((size_t)TOKENS * EXPERTS, sizeof *logits);
  float* weights = allocate(PAIRS, sizeof *weights);
  float* inner = allocate((size_t)PAIRS * INTERMEDIATE, sizeof *inner);
  float* outer = allocate((size_t)PAIRS * HIDDEN, sizeof *outer);
  float* output = allocate((size_t)TOKENS * HIDDEN, sizeof *output);
  int32_t* token_offsets = allocate(TOKENS + 1, sizeof *token_offsets);
  int32_t* expert_ids = allocate(PAIRS, sizeof *expert_ids);
  int32_t* expert_offsets = allocate(EXPERTS + 1, sizeof *expert_offsets);
  int32_t* source_rows = allocate(PAIRS, sizeof *source_rows);
  int32_t* assignment_rows = allocate(PAIRS, sizeof *assignment_rows);
  int32_t* active_experts = allocate(EXPERTS, sizeof *active_experts);
  uint64_t router_table[1], gate_table[EXPERTS], up_table[EXPERTS], down_table[EXPERTS];
  router_table[0] = (uint64_t)(uintptr_t)router;
  for (int e = 0; e < EXPERTS; ++e) {
    gate_table[e] = (uint64_t)(uintptr_t)(gate + (size_t)e * INTERMEDIATE * HIDDEN);
    up_table[e] = (uint64_t)(uintptr_t)(up + (size_t)e * INTERMEDIATE * HIDDEN);
    down_table[e] = (uint64_t)(uintptr_t)(down + (size_t)e * HIDDEN * INTERMEDIATE);
  }
  int64_t detail;

  // Router logits: a plain matrix is a layer of one expert that has all rows.
  const winnow_grouped_gemm_arguments score = {
      .input = input,
      .weights = router_table,
      .output = logits,
      .num_tokens = TOKENS,
      .num_rows = TOKENS,
      .num_experts = 1,
      .num_active = 1,
      .input_size = HIDDEN,
      .output_size = EXPERTS,
      .input_type = WINNOW_DTYPE_F32,
      .weight_format = WINNOW_WEIGHT_FORMAT_F32,
      .activation = WINNOW_ACTIVATION_NONE,
      .output_type = WINNOW_DTYPE_F32,
  };
  done("winnow_grouped_gemm", winnow_grouped_gemm(&score, cpu, &detail), &detail);
  for (int t = 0; t < TOKENS; ++t) {
    for (int e = 0; e < EXPERTS; ++e) {
      compare("logits", (size_t)(t * EXPERTS + e), logits[t * EXPERTS + e],
              product(input + t * HIDDEN, router + e * HIDDEN, HIDDEN), 0);
    }
  }

  const winnow_top_k_router_arguments route = {
      .logits = logits,
      .token_offsets = token_offsets,
      .expert_ids = expert_ids,
      .routing_weights = weights,
      .num_tokens = TOKENS,
      .num_experts = EXPERTS,
      .top_k = TOP_K,
      .min_experts = 1,
      .num_expert_groups = 1,
      .top_k_groups = 1,
      .score = WINNOW_ROUTER_SCORE_SOFTMAX,
      .group_score = WINNOW_GROUP_SCORE_MAX,
      .renormalise = 1,
      .scaling_factor = 1,
  };
  const int64_t num_rows = done("winnow_top_k_router", winnow_top_k_router(&route, cpu, &detail), &detail);
  compare("number of choices", 0, (double)num_rows, PAIRS, 0);
  for (int t = 0; t < TOKENS; ++t) {
    const float* z = logits + t * EXPERTS;
    const int32_t* chosen = expert_ids + t * TOP_K;
    int first = 0, second = -1;  // the two largest logits; of equal ones the smaller index
    for (int e = 1; e < EXPERTS; ++e) first = z[e] > z[first] ? e : first;
    for (int e = 0; e < EXPERTS; ++e) second = e != first && (second < 0 || z[e] > z[second]) ? e : second;
    compare("token_offsets", (size_t)t, token_offsets[t], t * TOP_K, 0);
    compare("first choice of token", (size_t)t, chosen[0], first, 0);
    compare("second choice of token", (size_t)t, chosen[1], second, 0);
    const double share = 1 / (1 + exp((double)z[second] - (double)z[first]));
    compare("first weight of token", (size_t)t, weights[t * TOP_K], share, 1e-6);
    compare("second weight of token", (size_t)t, weights[t * TOP_K + 1], 1 - share, 1e-6);
  }

  const winnow_expert_plan_arguments plan = {
      .token_offsets = token_offsets,
      .expert_ids = expert_ids,
      .expert_offsets = expert_offsets,
      .source_rows = source_rows,
      .assignment_rows = assignment_rows,
      .active_experts = active_experts,
      .num_tokens = TOKENS,
      .num_rows = num_rows,
      .num_experts = EXPERTS,
  };
  const int64_t num_active = done("winnow_expert_plan", winnow_expert_plan(&plan, cpu, &detail), &detail);

  const winnow_grouped_gemm_arguments gated = {
      .input = input,
      .source_rows = source_rows,
      .weights = gate_table,
      .up_weights = up_table,
      .expert_offsets = expert_offsets,
      .active_experts = active_experts,
      .output = inner,
      .num_tokens = TOKENS,
      .num_rows = num_rows,
      .num_experts = EXPERTS,
      .num_active = num_active,
      .input_size = HIDDEN,
      .output_size = INTERMEDIATE,
      .input_type = WINNOW_DTYPE_F32,
      .weight_format = WINNOW_WEIGHT_FORMAT_F32,
      .activation = WINNOW_ACTIVATION_SILU,
      .output_type = WINNOW_DTYPE_F32,
  };
  done("winnow_grouped_gemm", winnow_grouped_gemm(&gated, cpu, &detail), &detail);
  winnow_grouped_gemm_arguments back = gated;
  back.input = inner;
  back.source_rows = NULL;  // row r reads row r
  back.weights = down_table;
  back.up_weights = NULL;
  back.output = outer;
  back.num_tokens = num_rows;
  back.input_size = INTERMEDIATE;
  back.output_size = HIDDEN;
  back.activation = WINNOW_ACTIVATION_NONE;
  done("winnow_grouped_gemm", winnow_grouped_gemm(&back, cpu, &detail), &detail);
  for (int64_t pair = 0; pair < num_rows; ++pair) {
    const int expert = expert_ids[pair], row = assignment_rows[pair];
    const float* token = input + pair / TOP_K * HIDDEN;
    double magnitude = 0;
    for (int n = 0; n < INTERMEDIATE; ++n) {
      const size_t at = ((size_t)expert * INTERMEDIATE + (size_t)n) * HIDDEN;
      const double g = product(token, gate + at, HIDDEN), u = product(token, up + at, HIDDEN);
      const double expected = g / (1 + exp(-g)) * u;
      compare("inner", (size_t)(row * INTERMEDIATE + n), inner[row * INTERMEDIATE + n], expected,
              1e-6 * fabs(expected));
      magnitude += 2 * fabs(inner[row * INTERMEDIATE + n]);
    }
    for (int i = 0; i < HIDDEN; ++i) {
      const size_t at = ((size_t)expert * HIDDEN + (size_t)i) * INTERMEDIATE;
      // INTERMEDIATE sums, each rounded to 24 bits.
      compare("outer", (size_t)(row * HIDDEN + i), outer[row * HIDDEN + i],
              product(inner + row * INTERMEDIATE, down + at, INTERMEDIATE), INTERMEDIATE * 0x1p-24 * magnitude);
    }
  }

  winnow_moe_combine_arguments combine = {
      .expert_output = outer,
      .token_offsets = token_offsets,
      .assignment_rows = assignment_rows,
      .routing_weights = weights,
      .output = output,
      .num_tokens = TOKENS,
      .num_rows = num_rows,
      .hidden_size = HIDDEN,
      .output_type = WINNOW_DTYPE_F32,
  };
  done("winnow_moe_combine", winnow_moe_combine(&combine, cpu, &detail), &detail);
  for (int t = 0; t < TOKENS; ++t) {
    for (int i = 0; i < HIDDEN; ++i) {
      float expected = 0;
      for (int p = token_offsets[t]; p < token_offsets[t + 1]; ++p) {
        const float part = weights[p] * outer[assignment_rows[p] * HIDDEN + i];
        expected += part;
      }
      compare("output", (size_t)(t * HIDDEN + i), output[t * HIDDEN + i], expected, 0);
    }
  }

  // What an operation refuses it says: here a type that is none.
  combine.output_type = WINNOW_DTYPE_I64;
  if (winnow_moe_combine(&combine, cpu, NULL) != WINNOW_INVALID_ARGUMENT) return 1;
  printf("%d tokens through %lld of %d experts agree with plain loops; refused as it should be: %s\n", TOKENS,
         (long long)num_active, EXPERTS, winnow_last_error());

  winnow_cpu_close(cpu);
  void* const memory[] = {
      input, router, gate,          up,         down,           logits,      weights,         inner,
      outer, output, token_offsets, expert_ids, expert_offsets, source_rows, assignment_rows, active_experts};
  for (size_t i = 0; i < sizeof memory / sizeof *memory; ++i) free(memory[i]);
  return 0;
}
