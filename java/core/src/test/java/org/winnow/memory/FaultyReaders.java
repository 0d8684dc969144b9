package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.atomic.AtomicLong;

/**
 * Real reads of exact byte ranges, except that they fail where they touch a poisoned range, and can
 * be made to wait.
 */
public final class FaultyReaders implements RangeReader.Opener {
  private record Poison(long begin, long end) {}

  private final List<Poison> poisons = new ArrayList<>();
  private volatile Runnable beforeRead = () -> {};
  private final List<Long> offsets = new ArrayList<>();
  public final AtomicLong numReads = new AtomicLong();

  public synchronized void poison(long begin, long end) {
    poisons.add(new Poison(begin, end));
  }

  /** Poisons the tensors whose names begin so. */
  public void poison(SyntheticExperts experts, String prefix) {
    for (TensorInfo tensor : experts.tensors()) {
      if (tensor.name().startsWith(prefix))
        poison(tensor.offset(), tensor.offset() + tensor.sizeBytes());
    }
  }

  public synchronized void heal() {
    poisons.clear();
  }

  /** A read that may use the real reader. */
  interface Read {
    long read(RangeReader reader, long offsetBytes, long address, long sizeBytes)
        throws IOException;
  }

  /** Readers of which only the reads differ from those of an opener. */
  static RangeReader.Opener reading(RangeReader.Opener opener, Read read) {
    return file -> {
      RangeReader reader = opener.open(file);
      return new RangeReader() {
        @Override
        public int alignmentBytes() {
          return reader.alignmentBytes();
        }

        @Override
        long read(long offsetBytes, long address, long sizeBytes) throws IOException {
          return read.read(reader, offsetBytes, address, sizeBytes);
        }

        @Override
        public void close() {
          reader.close();
        }
      };
    };
  }

  /** Reads of exact ranges, each of which stops after that many bytes at most. */
  static RangeReader.Opener shortReads(long mostBytes) {
    return reading(
        RangeReader.buffered(),
        (reader, offset, address, size) -> reader.read(offset, address, Math.min(mostBytes, size)));
  }

  /** Runs on the reading thread before each read. */
  public void beforeRead(Runnable action) {
    beforeRead = action;
  }

  /** Where reads began; of those that were in flight at once in any order. */
  public synchronized List<Long> offsets() {
    return List.copyOf(offsets);
  }

  private synchronized void begin(long offsetBytes) {
    offsets.add(offsetBytes);
    numReads.incrementAndGet();
  }

  private synchronized void check(long begin, long end) throws IOException {
    for (Poison poison : poisons) {
      if (begin < poison.end && poison.begin < end)
        throw new IOException("poisoned: [" + poison.begin + ", " + poison.end + ")");
    }
  }

  @Override
  public RangeReader open(Path file) throws IOException {
    RangeReader reader = RangeReader.buffered().open(file);
    return new RangeReader() {
      @Override
      public int alignmentBytes() {
        return reader.alignmentBytes();
      }

      @Override
      long read(long offsetBytes, long address, long sizeBytes) throws IOException {
        begin(offsetBytes);
        beforeRead.run();
        check(offsetBytes, offsetBytes + sizeBytes);
        return reader.read(offsetBytes, address, sizeBytes);
      }

      @Override
      public void close() {
        reader.close();
      }
    };
  }
}
