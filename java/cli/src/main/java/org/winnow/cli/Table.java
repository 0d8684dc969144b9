package org.winnow.cli;

import java.io.PrintWriter;
import java.util.ArrayList;
import java.util.List;

/**
 * Rows of cells in aligned columns. The first column is left-aligned, the others are right-aligned
 * under their headings.
 */
final class Table {
  private static final String GAP = "  ";

  private final boolean hasHeading;
  private final List<String[]> rows = new ArrayList<>();

  private Table(boolean hasHeading) {
    this.hasHeading = hasHeading;
  }

  /** A table whose first row names the columns. */
  static Table withHeading(String... heading) {
    Table table = new Table(true);
    table.rows.add(heading);
    return table;
  }

  /** A list of names and values, both left-aligned. */
  static Table ofFacts() {
    return new Table(false);
  }

  Table row(String... cells) {
    if (hasHeading && cells.length != rows.get(0).length) {
      throw new IllegalArgumentException(
          "cells must be " + rows.get(0).length + ", found " + cells.length);
    }
    rows.add(cells);
    return this;
  }

  void print(PrintWriter out) {
    print(out, "");
  }

  /** Prints with {@code indent} before every line. */
  void print(PrintWriter out, String indent) {
    int columns = rows.stream().mapToInt(row -> row.length).max().orElse(0);
    int[] widths = new int[columns];
    for (String[] row : rows) {
      for (int i = 0; i < row.length; i++)
        widths[i] = Math.max(widths[i], row[i].codePointCount(0, row[i].length()));
    }
    for (String[] row : rows) {
      StringBuilder line = new StringBuilder(indent);
      for (int i = 0; i < row.length; i++) {
        String padding = " ".repeat(widths[i] - row[i].codePointCount(0, row[i].length()));
        boolean toTheRight = hasHeading && i > 0;
        line.append(i == 0 ? "" : GAP)
            .append(toTheRight ? padding : "")
            .append(row[i])
            .append(toTheRight ? "" : padding);
      }
      out.println(line.toString().stripTrailing());
    }
    out.flush();
  }
}
