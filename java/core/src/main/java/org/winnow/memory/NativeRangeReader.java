package org.winnow.memory;

import java.io.IOException;
import java.lang.ref.Reference;
import java.nio.ByteBuffer;
import java.nio.charset.Charset;
import java.nio.file.Path;
import java.util.concurrent.locks.ReadWriteLock;
import java.util.concurrent.locks.ReentrantReadWriteLock;
import org.bytedeco.javacpp.BytePointer;
import org.winnow.internal.NativeCpu;
import org.winnow.internal.NativeLoader;
import org.winnow.internal.Release;

/**
 * Reads with pread, see {@code winnow/base/file.h}. A FileChannel would be closed by an interrupt
 * of the thread that happens to read.
 *
 * <p>Every release of memory waits for native calls, but not for these reads, which take long:
 * otherwise a computation would wait for the disk whenever it frees a buffer. Whoever owns the
 * memory that is read into must wait for the reads.
 */
final class NativeRangeReader extends RangeReader {
  private final Path path;
  private final long file;
  private final Release release;
  private final int alignmentBytes;
  private final boolean constant;
  private final ReadWriteLock running = new ReentrantReadWriteLock();
  private boolean closed;

  /**
   * @param constant whether each read checks that the file has not changed since it was opened
   */
  NativeRangeReader(Path path, boolean direct, boolean constant) throws IOException {
    NativeLoader.load();
    this.path = path;
    this.constant = constant;
    byte[] name =
        path.toString().getBytes(Charset.forName(System.getProperty("sun.jnu.encoding", "UTF-8")));
    ByteBuffer terminated = ByteBuffer.allocateDirect(name.length + 1).put(name).put((byte) 0);
    terminated.flip();
    try (BytePointer pointer = new BytePointer(terminated)) {
      this.file = NativeCpu.file_open(pointer.address(), direct);
    } catch (RuntimeException e) {
      throw new IOException(path + ": " + e.getMessage(), e);
    }
    long opened = file;
    this.release = new Release(this, () -> NativeCpu.file_close(opened));
    this.alignmentBytes = NativeCpu.file_is_direct(file) ? DIRECT_ALIGNMENT_BYTES : 1;
  }

  @Override
  public int alignmentBytes() {
    return alignmentBytes;
  }

  @Override
  long read(long offsetBytes, long address, long sizeBytes) throws IOException {
    running.readLock().lock();
    try {
      if (closed) throw new IllegalStateException("reader of " + path + " is closed");
      long found = NativeCpu.file_read(file, offsetBytes, address, sizeBytes);
      if (constant) NativeCpu.file_require_unchanged(file); // afterwards: it may change meanwhile
      return found;
    } catch (IllegalStateException e) {
      throw e;
    } catch (RuntimeException e) { // how every native exception arrives
      throw new IOException(e.getMessage(), e);
    } finally {
      running.readLock().unlock();
      Reference.reachabilityFence(this); // or the file might be closed
    }
  }

  @Override
  public void close() {
    running.writeLock().lock();
    try {
      if (closed) return;
      closed = true;
      release.run();
    } finally {
      running.writeLock().unlock();
    }
  }
}
