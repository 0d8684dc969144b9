#include "attention_avx512.h"

namespace winnow {

const AttentionKernels kAttentionAvx512 = AttentionRows<Lanes512, F32Products<Lanes512>>::kernels();

}  // namespace winnow
