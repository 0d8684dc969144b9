// Storage formats of weight matrices, listed in weight_formats.inc. java: org.winnow.WeightFormat.
#pragma once

#include <stdint.h>

typedef int32_t winnow_weight_format;
enum {
#define WINNOW_WEIGHT_FORMAT(name, NAME, code, ...) WINNOW_WEIGHT_FORMAT_##NAME = code,
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
};

#ifdef __cplusplus
namespace winnow {

enum class WeightFormat : winnow_weight_format {
#define WINNOW_WEIGHT_FORMAT(name, NAME, code, ...) name = code,
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT
};

// Properties of a format, from the table.
template <WeightFormat>
struct WeightFormatTraits;
#define WINNOW_WEIGHT_FORMAT(name, NAME, code, elements, bytes, scale_bytes, panel, ...)                   \
  template <>                                                                                              \
  struct WeightFormatTraits<WeightFormat::name> {                                                          \
    static constexpr int64_t kBlockElements = elements, kBlockBytes = bytes, kRowScaleBytes = scale_bytes; \
    static constexpr int kPlanes = scale_bytes == 0 ? 1 : 2;                                               \
    static constexpr int kPanelElements = panel; /* 0: no panels */                                        \
  };
#include "winnow/base/weight_formats.inc"
#undef WINNOW_WEIGHT_FORMAT

}  // namespace winnow
#endif
