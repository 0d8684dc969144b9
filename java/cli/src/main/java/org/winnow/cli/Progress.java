package org.winnow.cli;

import java.io.PrintWriter;
import me.tongfei.progressbar.ProgressBar;
import me.tongfei.progressbar.ProgressBarBuilder;
import me.tongfei.progressbar.ProgressBarConsumer;
import me.tongfei.progressbar.ProgressBarStyle;
import org.jspecify.annotations.Nullable;

/** Shows the progress of long work: a bar on a terminal, otherwise a line at every quarter. */
final class Progress implements AutoCloseable {
  /** Columns of the bar and its text; narrower terminals are rare. */
  private static final int WIDTH = 78;

  private final String task;
  private final long total;
  private final PrintWriter err;
  private final @Nullable ProgressBar bar; // null if standard error is not a terminal
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

  /** Reports that {@code done} units of the total are complete. */
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

  /** Overwrites the line that it printed before. */
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
