package org.winnow.memory;

import java.util.ArrayList;
import java.util.List;
import java.util.NoSuchElementException;
import java.util.Objects;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.WeightFormat;
import org.winnow.WeightLayout;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCodes;
import org.winnow.internal.NativeCpu;

/**
 * Whole tensors that are read while the caller works with those before: made by {@link
 * Checkpoint#readEach}. Several threads read; so does the caller when the next tensor is not there.
 *
 * <p>Chunks of a file are read as aligned blocks into a buffer and copied from there, because a
 * tensor may begin anywhere in a block of the disk. A matrix that is to lie in panels is arranged
 * by that copy. One chunk may hold several small tensors. While one thread waits for the disk,
 * another copies, for which the system clears new pages. If chunks fail, the failure of the first
 * one is thrown.
 */
public final class TensorReads implements AutoCloseable {
  /** A buffer of this size stays in a processor's cache, which makes reads 1.4 times as fast. */
  static final long CHUNK_BYTES = 1 << 20;

  /** Buffers have a huge page: reads into small pages take longer. */
  private static final long BUFFER_BYTES = 2 << 20;

  /** To read what nobody needs is faster than another read if it is less than this. */
  private static final long MAX_GAP_BYTES = 64 << 10;

  /** Tensors that the caller has not taken yet have at most this many bytes, or one more tensor. */
  private static final long MAX_AHEAD_BYTES = 64 << 20;

  /**
   * Most of them wait for the disk while two copy. With the caller, seven read 716 MB faster than
   * three; ten were hardly faster than seven, and each has a buffer.
   */
  private static final int NUM_HELPERS = 6;

  /** With fewer chunks per thread, starting the threads takes longer than they save. */
  private static final long CHUNKS_PER_THREAD = 4;

  private static final class Target {
    final TensorInfo info;
    final WeightLayout layout;
    final RangeReader reader;
    final long panelBytes; // 0: not copied panel by panel
    @Nullable Tensor tensor; // from the first read until it is taken
    long leftBytes;

    Target(TensorInfo info, WeightLayout layout, RangeReader reader) {
      this.info = info;
      this.layout = layout;
      this.reader = reader;
      this.leftBytes = info.sizeBytes();
      this.panelBytes = layout == WeightLayout.PANELS ? panelBytes() : 0;
    }

    private long panelBytes() {
      long bytes = rowBytes() * NativeCodes.PANEL_ROWS;
      return reader.alignmentBytes() > 1 && bytes <= CHUNK_BYTES ? bytes : 0;
    }

    long rowBytes() {
      return info.shape()[1] * info.dtype().sizeBytes();
    }

    long end() {
      return info.offset() + info.sizeBytes();
    }

    /** Where a chunk that begins at {@code begin} in this tensor may end at the latest. */
    long chunkEnd(long begin) {
      if (reader.alignmentBytes() == 1) return end();
      return panelBytes > 0 ? begin + CHUNK_BYTES : (begin / CHUNK_BYTES + 1) * CHUNK_BYTES;
    }

    /** Where a part that begins at {@code begin} ends in a chunk that ends at {@code limit}. */
    long partEnd(long begin, long limit) {
      if (end() <= limit) return end();
      return panelBytes > 0 ? begin + Math.max(0, limit - begin) / panelBytes * panelBytes : limit;
    }
  }

  /** Bytes [begin, end) of a file, all of one tensor. */
  private record Part(Target target, long begin, long end) {}

  /** Parts that are read at once, and their number in the order in which they are begun. */
  private record Chunk(long number, List<Part> parts) {}

  private final List<Target> targets = new ArrayList<>();
  private final List<Thread> helpers = new ArrayList<>();
  private final List<Tensor> buffers = new ArrayList<>(); // that nobody uses; guards itself
  private int numTaken; // guarded by this, as all that follow
  private int nextTarget;
  private long nextBegin; // in its file
  private long nextChunk;
  private long aheadBytes;
  private int numReading;
  private boolean closed;
  private long failedChunk = Long.MAX_VALUE;
  private @Nullable RuntimeException exception; // of the failed chunk, as one of these
  private @Nullable Error error;

  /**
   * @param infos of types that can be computed with
   * @param layouts as many: panels for matrices of floating values only
   */
  TensorReads(Checkpoint checkpoint, List<TensorInfo> infos, List<WeightLayout> layouts) {
    long numChunks = 0;
    for (int i = 0; i < infos.size(); i++) {
      TensorInfo info = infos.get(i);
      targets.add(new Target(info, layouts.get(i), checkpoint.reader(info.file())));
      numChunks += info.sizeBytes() / CHUNK_BYTES;
    }
    if (!infos.isEmpty()) nextBegin = infos.get(0).offset();
    long numHelpers = Math.min(NUM_HELPERS, numChunks / CHUNKS_PER_THREAD);
    for (int i = 0; i < numHelpers; i++) {
      Thread helper = new Thread(this::help, "winnow-tensor-reader");
      helper.setDaemon(true);
      try {
        helper.start();
      } catch (OutOfMemoryError e) { // the system refuses a thread: the others read
        break;
      }
      helpers.add(helper);
    }
  }

  /**
   * The next tensor, in the order that was asked for. It is the caller's to close.
   *
   * @throws ExpertReadException if a read fails or the file has changed since it was opened
   * @throws NoSuchElementException if there is none left
   * @throws IllegalStateException if this or the checkpoint is closed
   */
  public Tensor next() {
    for (; ; ) {
      Chunk chunk;
      Target target;
      Tensor taken = null;
      synchronized (this) {
        if (numTaken == targets.size())
          throw new NoSuchElementException("all tensors have been read");
        target = targets.get(numTaken);
        chunk = isRead(target) ? null : nextChunk(); // which begins tensors of no bytes, too
        if (chunk == null && isRead(target)) taken = take(target);
        else if (chunk == null && numReading == 0) throwFailure();
        else if (chunk == null) await();
      }
      if (taken != null) return arranged(target, taken);
      if (chunk != null) read(chunk);
    }
  }

  /** A tensor as it is to lie, which it does if it was copied panel by panel. */
  private static Tensor arranged(Target target, Tensor tensor) {
    if (target.layout == WeightLayout.ROWS || target.panelBytes > 0) return tensor;
    try {
      target.layout.arrange(tensor);
      return tensor;
    } catch (RuntimeException | Error e) { // such as out of memory
      tensor.close();
      throw e;
    }
  }

  private static boolean isRead(Target target) {
    return target.tensor != null && target.leftBytes == 0;
  }

  private Tensor take(Target target) {
    Tensor tensor = Objects.requireNonNull(target.tensor);
    target.tensor = null;
    numTaken++;
    aheadBytes -= target.info.sizeBytes();
    notifyAll();
    return tensor;
  }

  private void throwFailure() {
    if (exception != null) throw exception;
    if (error != null) throw error;
    throw new IllegalStateException("reads of tensors are closed");
  }

  private void help() {
    for (; ; ) {
      Chunk chunk;
      synchronized (this) {
        for (chunk = nextChunk(); chunk == null; chunk = nextChunk()) {
          if (hasEnded() || nextTarget == targets.size()) return;
          await();
        }
      }
      read(chunk);
    }
  }

  private boolean hasEnded() {
    return closed || failedChunk < Long.MAX_VALUE;
  }

  /** Uninterruptibly: threads write to memory that the caller would free. */
  private void await() {
    boolean interrupted = Thread.interrupted();
    try {
      wait();
    } catch (InterruptedException e) {
      interrupted = true;
    }
    if (interrupted) Thread.currentThread().interrupt();
  }

  /**
   * The next parts that lie close together in a file, up to where a multiple of a chunk's size ends
   * in it, or about a chunk's size of panels; null if there are none, or none may be read now.
   */
  private @Nullable Chunk nextChunk() {
    List<Part> parts = new ArrayList<>();
    try {
      long limit = 0;
      while (nextTarget < targets.size() && isNext(targets.get(nextTarget), parts, limit)) {
        Target target = targets.get(nextTarget);
        if (target.tensor == null) begin(target);
        if (parts.isEmpty()) limit = target.chunkEnd(nextBegin);
        long end = target.partEnd(nextBegin, limit);
        if (end > nextBegin) parts.add(new Part(target, nextBegin, end));
        nextBegin = end;
        if (end < target.end()) break;
        nextTarget++;
        if (nextTarget < targets.size()) nextBegin = targets.get(nextTarget).info.offset();
      }
    } catch (RuntimeException | Error e) { // memory that cannot be had
      fail(nextChunk, e);
      return null;
    }
    if (parts.isEmpty()) return null;
    numReading++;
    return new Chunk(nextChunk++, parts);
  }

  /** Whether a part of this target may be read next, in one chunk with those parts. */
  private boolean isNext(Target target, List<Part> parts, long limit) {
    if (hasEnded()) return false;
    if (target.tensor == null && nextTarget > numTaken && aheadBytes >= MAX_AHEAD_BYTES)
      return false;
    if (parts.isEmpty()) return true;
    Part last = parts.get(parts.size() - 1);
    return target.reader == last.target.reader
        && target.reader.alignmentBytes() > 1
        && nextBegin >= last.end
        && nextBegin - last.end <= MAX_GAP_BYTES
        && nextBegin < limit;
  }

  private void begin(Target target) {
    target.tensor = Tensor.allocate(target.info.dtype(), target.info.shape());
    aheadBytes += target.info.sizeBytes();
  }

  private void read(Chunk chunk) {
    Target first = chunk.parts.get(0).target;
    boolean isRead = false;
    try {
      if (first.reader.alignmentBytes() == 1) readStraight(first);
      else readThroughBuffer(chunk.parts);
      isRead = true;
    } catch (RuntimeException | Error e) { // such as out of memory
      fail(chunk.number, e);
    }
    synchronized (this) {
      numReading--;
      for (Part part : chunk.parts) if (isRead) part.target.leftBytes -= part.end - part.begin;
      notifyAll();
    }
  }

  /** Byte ranges exactly as they are needed. */
  private static void readStraight(Target target) {
    TensorInfo info = target.info;
    Checkpoint.readFully(
        target.reader,
        info.file(),
        info.name(),
        info.offset(),
        Internals.address(target.tensor),
        info.sizeBytes(),
        info.sizeBytes());
  }

  private void readThroughBuffer(List<Part> parts) {
    Tensor buffer = takeBuffer();
    try {
      readParts(parts, Internals.address(buffer));
    } catch (ExpertReadException e) {
      if (parts.size() > 1) // names the tensor that cannot be read
      for (Part part : parts) readParts(List.of(part), Internals.address(buffer));
      throw e;
    } finally {
      synchronized (buffers) {
        buffers.add(buffer);
      }
    }
  }

  private static void readParts(List<Part> parts, long buffer) {
    Target first = parts.get(0).target;
    long alignment = first.reader.alignmentBytes();
    long block = parts.get(0).begin / alignment * alignment;
    long end = parts.get(parts.size() - 1).end;
    long asked = Checkpoint.roundUp(end, alignment) - block;
    Checkpoint.readFully(
        first.reader, first.info.file(), first.info.name(), block, buffer, asked, end - block);
    for (Part part : parts) copy(part, buffer + part.begin - block);
  }

  /** Copies a part, which is in memory at {@code source}, to its place. */
  private static void copy(Part part, long source) {
    Target target = part.target;
    TensorInfo info = target.info;
    long address = Internals.address(target.tensor);
    if (target.panelBytes == 0) {
      NativeCpu.memory_copy(address + part.begin - info.offset(), source, part.end - part.begin);
      return;
    }
    NativeCpu.memory_copy_to_panels(
        address,
        source,
        info.dtype().sizeBytes(),
        WeightFormat.of(info.dtype()).panelElements(),
        info.shape()[0],
        info.shape()[1],
        (part.begin - info.offset()) / target.rowBytes(),
        (part.end - info.offset()) / target.rowBytes(),
        0,
        info.shape()[1],
        info.shape()[1],
        1);
  }

  private Tensor takeBuffer() {
    synchronized (buffers) {
      if (!buffers.isEmpty()) return buffers.remove(buffers.size() - 1);
    }
    return Tensor.allocate(DType.I8, BUFFER_BYTES);
  }

  /** Chunks are begun in their order, so all before a failed one are read or fail, too. */
  private synchronized void fail(long chunk, Throwable failure) {
    if (chunk >= failedChunk) return;
    failedChunk = chunk;
    exception = failure instanceof RuntimeException e ? e : null;
    error = failure instanceof Error e ? e : null;
    notifyAll();
  }

  /**
   * Waits for reads that have begun, then closes tensors that were not taken. May be called twice.
   */
  @Override
  public void close() {
    synchronized (this) {
      closed = true;
      notifyAll();
      while (numReading > 0) await(); // also those of a caller of next
      for (Tensor buffer : buffers) buffer.close();
      buffers.clear();
      for (Target target : targets) {
        if (target.tensor != null) target.tensor.close();
        target.tensor = null;
      }
    }
    helpers.forEach(TensorReads::join);
  }

  private static void join(Thread thread) {
    boolean interrupted = false;
    while (thread.isAlive()) {
      try {
        thread.join();
      } catch (InterruptedException e) {
        interrupted = true; // it writes to memory that the caller would free
      }
    }
    if (interrupted) Thread.currentThread().interrupt();
  }
}
