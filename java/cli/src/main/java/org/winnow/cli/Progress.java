package org.winnow.cli;

import java.io.PrintWriter;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarStyle;

/** How far long work has come: a bar on a terminal, else a line at every quarter. */
final class Progress implements AutoCloseable {
  private static final int WIDTH = 78; // of the bar with its text; narrower terminals are rare

  private final String task;
  private final long total;
  private final PrintWriter err;
  private final ProgressBar bar; // null where nobody watches
  private long quarters;

  Progress(Terminal terminal, String task, String unit, long total) {
    this.task = task;
    this.total = Math.max(1, total);
    this.err = terminal.err();
    this.bar = terminal.errIsTerminal() ? bar(unit) : null;
  }

  private ProgressBar bar(String unit) {
    return new ProgressBarBuilder()
        .setTaskName(task)
        .setInitialMax(total)
        .setStyle(ProgressBarStyle.ASCII)
        .setUnit(" " + unit, 1)
        .setUpdateIntervalMillis(100)
        .clearDisplayOnFinish()
        .setConsumer(new Line(err))
        .build();
  }

  /** Work up to {@code done} of the total is done. */
  void update(long done) {
    if (bar != null) {
      bar.stepTo(done);
      return;
    }
    long reached = 4 * done / total;
    if (reached > quarters) {
      err.println(task + ": " + 25 * reached + " %");
      err.flush();
    }
    quarters = Math.max(quarters, reached);
  }

  /** Removes the bar. */
  @Override
  public void close() {
    if (bar != null) bar.close();
  }

  /** Draws over the line that it drew before. */
  private record Line(PrintWriter err) implements ProgressBarConsumer {
    @Override
    public int getMaxRenderedLength() {
      return WIDTH;
    }

    @Override
    public void accept(String rendered) {
      err.print("\r" + rendered);
      err.flush();
    }

    @Override
    public void clear() {
      err.print("\r" + " ".repeat(WIDTH) + "\r");
      err.flush();
    }

    @Override
    public void close() {
      err.flush();
    }
  }
}
