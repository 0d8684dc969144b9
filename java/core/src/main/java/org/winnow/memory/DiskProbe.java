package org.winnow.memory;

import java.io.IOException;
import java.nio.ByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;
import java.util.concurrent.atomic.AtomicLong;
import java.util.concurrent.atomic.AtomicReference;
import java.util.stream.Stream;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;

/**
 * How fast a disk fills memory at best: aligned 4 MiB reads past the page cache into huge pages.
 * The speed of the expert cache is reported as a share of this, measured in the same run.
 *
 * <p>Reads take turns with buffers that together exceed processor caches, so the data must arrive
 * in memory, as weights must. Reads into one small buffer can be a third faster.
 */
public final class DiskProbe {
  private static final int BLOCK_BYTES = 4 << 20;
  private static final int MAX_BUFFERS = 64; // 256 MiB

  private DiskProbe() {}

  /**
   * @param bytesRead how much was read
   * @param seconds how long it took
   * @param direct whether the reads went past the page cache; if not, this may be the speed of
   *     memory
   */
  public record Result(long bytesRead, double seconds, boolean direct) {
    public double gigabytesPerSecond() {
      return bytesRead / seconds / 1e9;
    }
  }

  /**
   * Reads a file in order, into memory that is in use already.
   *
   * @param maxBytes how many bytes to read at most, from its beginning on
   * @param numThreads how many threads read at the same time
   * @throws IllegalArgumentException if the file or {@code maxBytes} is smaller than 4 MiB, or
   *     {@code numThreads < 1}
   * @throws IOException if a read fails
   */
  public static Result read(Path file, long maxBytes, int numThreads) throws IOException {
    return read(file, maxBytes, numThreads, false);
  }

  /**
   * The same into new memory, which the system has yet to provide: the speed that a new cache can
   * reach.
   */
  public static Result readIntoNewMemory(Path file, long maxBytes, int numThreads)
      throws IOException {
    return read(file, maxBytes, numThreads, true);
  }

  private static Result read(Path file, long maxBytes, int numThreads, boolean newMemory)
      throws IOException {
    long numBlocks = Math.min(maxBytes, Files.size(file)) / BLOCK_BYTES;
    if (numBlocks < 1)
      throw new IllegalArgumentException(
          "file must hold at least " + BLOCK_BYTES + " bytes, found " + Files.size(file));
    try (RangeReader reader = RangeReader.direct().open(file)) {
      return read(reader, numBlocks, numThreads, newMemory);
    }
  }

  private static Result read(RangeReader reader, long numBlocks, int numThreads, boolean newMemory)
      throws IOException {
    if (numThreads < 1)
      throw new IllegalArgumentException("numThreads must be at least 1, found " + numThreads);
    long numBuffers = newMemory ? numBlocks : Math.min(numBlocks, numThreads + MAX_BUFFERS);
    try (Tensor buffers = Tensor.allocate(DType.I8, numBuffers, BLOCK_BYTES)) {
      if (!newMemory) {
        ByteBuffer bytes = buffers.asByteBuffer();
        for (int i = 0; i < bytes.capacity(); i += 4096) bytes.put(i, (byte) 1);
      }
      AtomicLong next = new AtomicLong();
      AtomicReference<IOException> failure = new AtomicReference<>();
      Thread[] threads =
          Stream.iterate(0, i -> i + 1)
              .limit(numThreads)
              .map(
                  i ->
                      new Thread(
                          () -> {
                            try {
                              for (long block; (block = next.getAndIncrement()) < numBlocks; ) {
                                reader.read(
                                    block * BLOCK_BYTES,
                                    Internals.address(buffers) + block % numBuffers * BLOCK_BYTES,
                                    BLOCK_BYTES);
                              }
                            } catch (IOException e) {
                              failure.set(e);
                            }
                          },
                          "winnow-disk-probe-" + i))
              .toArray(Thread[]::new);
      long start = System.nanoTime();
      for (Thread thread : threads) thread.start();
      for (Thread thread : threads) join(thread);
      double seconds = (System.nanoTime() - start) * 1e-9;
      if (failure.get() != null) throw failure.get();
      return new Result(numBlocks * BLOCK_BYTES, seconds, reader.alignmentBytes() > 1);
    }
  }

  /**
   * The same with a new file. Its name is deleted before anything is written, so nothing is left of
   * it however the process ends.
   *
   * @param folder on the disk in question
   * @param sizeBytes of the file, at least 4 MiB
   */
  public static Result readNewFile(Path folder, long sizeBytes, int numThreads) throws IOException {
    long numBlocks = sizeBytes / BLOCK_BYTES;
    if (numBlocks < 1)
      throw new IllegalArgumentException(
          "sizeBytes must be at least " + BLOCK_BYTES + ", found " + sizeBytes);
    Path file = Files.createTempFile(folder, "winnow-disk-probe", null);
    try (FileChannel channel = FileChannel.open(file, StandardOpenOption.WRITE);
        RangeReader reader = openAndDelete(file)) {
      ByteBuffer block = ByteBuffer.allocateDirect(BLOCK_BYTES);
      for (int i = 0; i < BLOCK_BYTES; i += Long.BYTES) block.putLong(i, i * 0x9e3779b97f4a7c15L);
      for (long i = 0; i < numBlocks; i++) {
        for (block.clear(); block.hasRemaining(); ) channel.write(block);
      }
      channel.force(false);
      return read(reader, numBlocks, numThreads, false);
    }
  }

  private static RangeReader openAndDelete(Path file) throws IOException {
    try {
      return new NativeRangeReader(file, true, false); // it is written to afterwards
    } finally {
      Files.delete(file);
    }
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    for (; ; ) {
      try {
        thread.join();
        break;
      } catch (InterruptedException e) {
        interrupted = true;
      }
    }
    if (interrupted) Thread.currentThread().interrupt();
  }
}
