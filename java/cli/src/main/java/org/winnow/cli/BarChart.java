package org.winnow.cli;

import java.awt.Color;
import java.util.List;
import org.knowm.xchart.CategoryChart;
import org.knowm.xchart.CategoryChartBuilder;
import org.knowm.xchart.style.Styler;

/** Bars in groups, as a PNG. */
final class BarChart {
  private final CategoryChart chart;

  BarChart(String title, String yTitle) {
    ChartFile.requireNoDisplay();
    chart =
        new CategoryChartBuilder().width(1400).height(600).title(title).yAxisTitle(yTitle).build();
    chart
        .getStyler()
        .setChartBackgroundColor(Color.WHITE)
        .setLegendPosition(Styler.LegendPosition.OutsideE);
    chart.getStyler().setYAxisMin(0.0).setYAxisMax(100.0).setXAxisLabelRotation(20);
    chart
        .getStyler()
        .setAvailableSpaceFill(0.85)
        .setLabelsVisible(true)
        .setLabelsFontColor(Color.DARK_GRAY);
  }

  /** One bar for each group; NaN for none. */
  void add(String name, List<String> groups, List<Double> values) {
    chart.addSeries(name, groups, values);
  }

  /**
   * @throws CommandException if the file cannot be written
   */
  void write(OutputFile file) {
    ChartFile.write(chart, file);
  }
}
