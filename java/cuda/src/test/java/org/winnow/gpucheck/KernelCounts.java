package org.winnow.gpucheck;

import java.io.IOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;

/**
 * What the stand-in counts of each small case: the table of docs/cuda.md, whose test keeps it true.
 */
final class KernelCounts {
  private static final List<String> NAMES =
      List.of(
          "bytesOf",
          "bytesRequested",
          "bytesDistinct",
          "shareOfSectors",
          "mma",
          "excessWavefronts");

  private final List<String[]> rows = new ArrayList<>();

  private KernelCounts() {}

  static KernelCounts read(Path table) throws IOException {
    KernelCounts counts = new KernelCounts();
    for (String line : Files.readAllLines(table)) {
      String[] cells = line.replace("`", "").split("\\|");
      if (cells.length == NAMES.size() + 3) counts.rows.add(cells);
    }
    return counts;
  }

  /** The counts of a case, or none. */
  Map<String, Object> of(Object kernel, Object what) {
    Map<String, Object> counts = new LinkedHashMap<>();
    for (String[] cells : rows) {
      if (!cells[1].strip().equals(kernel) || !cells[2].strip().equals(what)) continue;
      for (int i = 0; i < NAMES.size(); i++) counts.put(NAMES.get(i), cells[i + 3].strip());
    }
    return counts;
  }
}
