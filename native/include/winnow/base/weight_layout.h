// How the elements of a weight matrix [rows, columns] follow each other in memory. java: org.winnow.WeightLayout.
//
//   rows     row by row
//   panels   panels of WINNOW_PANEL_ROWS rows, one after the other. A panel of r rows (the last one may have fewer) holds
//            group after group along the columns: panel_elements(format) consecutive columns of its row 0, then the same
//            columns of its row 1, and so on. The last group may have fewer columns. So a vector register loads one
//            group of many rows, every lane adds up one output, and no lanes need to be added in the end
//
// Either takes the same number of bytes. weight_formats.inc says which formats have panels.
#pragma once

#include <stdint.h>

#define WINNOW_PANEL_ROWS 16

typedef int32_t winnow_weight_layout;
enum {
  WINNOW_WEIGHT_LAYOUT_ROWS = 0,
  WINNOW_WEIGHT_LAYOUT_PANELS = 1,
};
