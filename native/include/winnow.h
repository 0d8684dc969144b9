// The C interface of Winnow's CPU kernels: a program in C, C++ or another language can run them on its own memory. Each
// operation's header contains its contract.
//
// First check that winnow_abi_version() == WINNOW_ABI_VERSION: a library of another version may read these structs
// differently. No function throws, prints or ends the process. Link with -lwinnow.
#pragma once

#include "winnow/active_columns.h"
#include "winnow/add.h"
#include "winnow/attention.h"
#include "winnow/base/activation.h"
#include "winnow/base/cpu.h"
#include "winnow/base/dtype.h"
#include "winnow/base/operation.h"
#include "winnow/base/weight_format.h"
#include "winnow/clamp.h"
#include "winnow/embedding.h"
#include "winnow/expert_plan.h"
#include "winnow/grouped_gemm.h"
#include "winnow/kv_append.h"
#include "winnow/layer_norm.h"
#include "winnow/modular_convolution.h"
#include "winnow/moe_combine.h"
#include "winnow/multiplicative_layer.h"
#include "winnow/rms_norm.h"
#include "winnow/rope.h"
#include "winnow/sampler.h"
#include "winnow/sparse_ffn.h"
#include "winnow/strided_copy.h"
#include "winnow/thresholded_linear.h"
#include "winnow/top_k_router.h"
