package org.winnow.cli;

import java.awt.BasicStroke;
import java.awt.Color;
import java.awt.Font;
import java.util.List;
import org.knowm.xchart.XYChart;
import org.knowm.xchart.XYChartBuilder;
import org.knowm.xchart.XYSeries;
import org.knowm.xchart.style.Styler;
import org.knowm.xchart.style.markers.SeriesMarkers;

/**
 * Decode speed and expert bytes read over the expert budget, as a PNG: speed on the left axis,
 * bytes on the right one.
 */
final class BudgetChart {
  /**
   * One budget.
   *
   * @param budgetPercent of the bytes of all experts
   * @param tokensPerSecond decode speed
   * @param bytesRead bytes of experts that the whole generation read
   */
  record Point(int budgetPercent, double tokensPerSecond, long bytesRead) {}

  private static final int WIDTH = 1100;
  private static final int HEIGHT = 560;
  private static final Color SPEED = new Color(0x1B6AA5);
  private static final Color BYTES = new Color(0xD9731A);
  private static final Color DENSE = new Color(0x8A8A8A);
  private static final Color INK = new Color(0x333333);
  private static final Color GRID = new Color(0xE4E4E4);
  private static final double MIB = 1 << 20;
  private static final double HEADROOM = 1.12; // above the highest value

  private final XYChart chart;

  /**
   * @param title one line
   * @param points by ascending budget, at least one
   * @param denseTokensPerSecond the speed of a dense layer: a line across the chart
   */
  BudgetChart(String title, List<Point> points, double denseTokensPerSecond) {
    ChartFile.requireNoDisplay();
    chart =
        new XYChartBuilder()
            .width(WIDTH)
            .height(HEIGHT)
            .title(title)
            .xAxisTitle("memory budget for experts, % of the bytes of all experts")
            .build();
    chart.setYAxisGroupTitle(0, "decoded tokens per second");
    chart.setYAxisGroupTitle(1, "expert bytes read, MiB");
    double[] budgets = points.stream().mapToDouble(Point::budgetPercent).toArray();
    double[] speeds = points.stream().mapToDouble(Point::tokensPerSecond).toArray();
    double[] mebibytes = points.stream().mapToDouble(point -> point.bytesRead() / MIB).toArray();
    style(HEADROOM * max(speeds, denseTokensPerSecond), HEADROOM * max(mebibytes, 0));
    add("decode speed (left)", 0, SPEED, budgets, speeds).setMarker(SeriesMarkers.CIRCLE);
    add("expert bytes read (right)", 1, BYTES, budgets, mebibytes).setMarker(SeriesMarkers.DIAMOND);
    double[] ends = {budgets[0], budgets[budgets.length - 1]};
    double[] level = {denseTokensPerSecond, denseTokensPerSecond};
    XYSeries dense = add("speed of dense layers: every expert computed", 0, DENSE, ends, level);
    dense.setMarker(SeriesMarkers.NONE);
    dense.setLineStyle(
        new BasicStroke(
            2f, BasicStroke.CAP_BUTT, BasicStroke.JOIN_ROUND, 1, new float[] {8, 6}, 0));
  }

  private static double max(double[] values, double other) {
    double max = other;
    for (double value : values) max = Math.max(max, value);
    return max;
  }

  private void style(double maxSpeed, double maxMebibytes) {
    var styler = chart.getStyler();
    styler
        .setChartBackgroundColor(Color.WHITE)
        .setChartFontColor(INK)
        .setChartPadding(14)
        .setChartTitleFont(new Font(Font.SANS_SERIF, Font.BOLD, 22))
        .setChartTitleBoxVisible(false)
        .setChartTitlePadding(12);
    styler
        .setLegendPosition(Styler.LegendPosition.OutsideS)
        .setLegendLayout(Styler.LegendLayout.Horizontal)
        .setLegendBorderColor(Color.WHITE)
        .setLegendSeriesLineLength(34)
        .setLegendPadding(14)
        .setLegendFont(new Font(Font.SANS_SERIF, Font.PLAIN, 17));
    styler
        .setPlotBorderVisible(false)
        .setYAxisGroupPosition(1, Styler.YAxisPosition.Right)
        .setYAxisGroupTitleColor(0, SPEED)
        .setYAxisGroupTitleColor(1, BYTES)
        .setMarkerSize(10);
    styler
        .setAxisTitleFont(new Font(Font.SANS_SERIF, Font.PLAIN, 18))
        .setAxisTickLabelsFont(new Font(Font.SANS_SERIF, Font.PLAIN, 16))
        .setAxisTickLabelsColor(INK)
        .setYAxisGroupTickLabelsColorMap(0, SPEED)
        .setYAxisGroupTickLabelsColorMap(1, BYTES)
        .setPlotGridLinesColor(GRID)
        .setPlotGridLinesStroke(new BasicStroke(1f))
        .setPlotGridVerticalLinesVisible(false)
        .setYAxisTickMarkSpacingHint(60)
        .setXAxisMin(0.0)
        .setXAxisMax(100.0)
        .setYAxisMin(0, 0.0)
        .setYAxisMax(0, maxSpeed)
        .setYAxisMin(1, 0.0)
        .setYAxisMax(1, maxMebibytes)
        .setXAxisDecimalPattern("0");
    styler.putYAxisGroupDecimalPatternMap(0, "#,##0");
    styler.putYAxisGroupDecimalPatternMap(1, "#,##0");
  }

  private XYSeries add(String name, int axis, Color color, double[] budgets, double[] values) {
    XYSeries series = chart.addSeries(name, budgets, values);
    series.setYAxisGroup(axis);
    series.setLineColor(color);
    series.setLineStyle(new BasicStroke(3.5f, BasicStroke.CAP_ROUND, BasicStroke.JOIN_ROUND));
    series.setMarkerColor(color);
    return series;
  }

  /**
   * @throws CommandException if the file cannot be written
   */
  void write(OutputFile file) {
    ChartFile.write(chart, file);
  }
}
