#include "base/weight_rows.h"

#include <stdexcept>
#include <string>

namespace winnow {

const WeightRows& weight_rows(InstructionSet instruction_set, winnow_weight_format format) {
  const auto weight_format = static_cast<WeightFormat>(format);
  const WeightRows* rows = instruction_set == InstructionSet::portable ? weight_rows_portable(weight_format)
                           : instruction_set == InstructionSet::avx2   ? weight_rows_avx2(weight_format)
                                                                       : weight_rows_avx512(weight_format);
  if (rows == nullptr)
    throw std::invalid_argument("weight_format must be f32, bf16 or f16, found " + std::to_string(format));
  return *rows;
}

}  // namespace winnow
