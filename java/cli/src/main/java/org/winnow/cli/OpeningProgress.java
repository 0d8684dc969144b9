package org.winnow.cli;

import org.jspecify.annotations.Nullable;
import org.winnow.models.LoadProgress;

/** A bar on a terminal while a model opens, if that is not done in a moment. */
final class OpeningProgress implements LoadProgress, AutoCloseable {
  private static final long MOMENT_NANOS = 500_000_000;
  private static final int UNIT_BYTES = 1 << 20;

  private final Terminal terminal;
  private final long momentNanos;
  private final long begin = System.nanoTime();
  private @Nullable Progress bar;

  OpeningProgress(Terminal terminal) {
    this(terminal, MOMENT_NANOS);
  }

  OpeningProgress(Terminal terminal, long momentNanos) {
    this.terminal = terminal;
    this.momentNanos = momentNanos;
  }

  @Override
  public void onBytesRead(long readBytes, long totalBytes) {
    if (bar == null && terminal.errIsTerminal() && System.nanoTime() - begin > momentNanos)
      bar = new Progress(terminal, "opening", "MiB", totalBytes / UNIT_BYTES);
    if (bar != null) bar.update(readBytes / UNIT_BYTES);
  }

  /** Removes the bar. */
  @Override
  public void close() {
    if (bar != null) bar.close();
  }
}
