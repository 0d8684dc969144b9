package org.winnow.memory;

import java.util.ArrayList;
import java.util.List;
import org.jspecify.annotations.Nullable;
import org.winnow.DType;
import org.winnow.Tensor;
import org.winnow.internal.Internals;
import org.winnow.internal.NativeCpu;

/**
 * Reads one tensor in chunks. A chunk is read as aligned blocks into a buffer and copied from
 * there, because a tensor may begin anywhere in a block of the disk. Several threads do that to a
 * large tensor: while one waits for the disk, another copies, for which the system clears new
 * pages. If chunks fail, the failure of the first one is thrown.
 */
final class TensorReads {
  static final long CHUNK_BYTES = 4 << 20;

  /** One more than can compute on a small machine, so that a read is always in flight. */
  private static final int NUM_THREADS = 3;

  /** With fewer chunks per thread, starting the threads takes longer than they save. */
  private static final long CHUNKS_PER_THREAD = 2;

  private final RangeReader reader;
  private final TensorInfo info;
  private final long address;
  private final long numChunks;
  private long nextChunk;
  private long failedChunk = Long.MAX_VALUE;
  private @Nullable RuntimeException exception; // of the failed chunk, as one of these
  private @Nullable Error error;

  private TensorReads(RangeReader reader, TensorInfo info, long address) {
    this.reader = reader;
    this.info = info;
    this.address = address;
    this.numChunks = (end() + CHUNK_BYTES - 1) / CHUNK_BYTES - info.offset() / CHUNK_BYTES;
  }

  /**
   * Reads the whole tensor to this address.
   *
   * @throws org.winnow.ExpertReadException if a read fails or the file has changed
   */
  static void read(RangeReader reader, TensorInfo info, long address) {
    if (info.sizeBytes() == 0) return;
    TensorReads reads = new TensorReads(reader, info, address);
    List<Thread> helpers = new ArrayList<>();
    try {
      int numHelpers = (int) Math.min(NUM_THREADS, reads.numChunks / CHUNKS_PER_THREAD) - 1;
      for (int i = 0; i < numHelpers; i++) {
        Thread helper = new Thread(reads::readChunks, "winnow-tensor-reader");
        helper.setDaemon(true);
        helper.start();
        helpers.add(helper);
      }
    } finally { // not all threads may have started
      reads.readChunks();
      helpers.forEach(TensorReads::await);
    }
    if (reads.exception != null) throw reads.exception;
    if (reads.error != null) throw reads.error;
  }

  private static void await(Thread thread) {
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

  private long end() {
    return info.offset() + info.sizeBytes();
  }

  /** Chunks end where a multiple of their size ends in the file, the last one with the tensor. */
  private void readChunks() {
    long chunk = -1;
    try (Tensor staging = Tensor.allocate(DType.I8, CHUNK_BYTES)) { // 2 MiB aligned
      for (chunk = take(); chunk >= 0; chunk = take()) {
        long first = (info.offset() / CHUNK_BYTES + chunk) * CHUNK_BYTES;
        readChunk(Math.max(info.offset(), first), Math.min(end(), first + CHUNK_BYTES), staging);
      }
    } catch (RuntimeException e) {
      fail(chunk, e, null);
    } catch (Error e) { // such as out of memory
      fail(chunk, null, e);
    }
  }

  private void readChunk(long position, long chunkEnd, Tensor staging) {
    long alignment = reader.alignmentBytes();
    long block = position / alignment * alignment;
    long asked = Checkpoint.roundUp(chunkEnd, alignment) - block;
    long buffer = Internals.address(staging);
    Checkpoint.readFully(reader, info.file(), info.name(), block, buffer, asked, chunkEnd - block);
    NativeCpu.memory_copy(
        address + position - info.offset(), buffer + position - block, chunkEnd - position);
  }

  /** The next chunk, or -1 if there is none or an earlier one has failed. */
  private synchronized long take() {
    return nextChunk < Math.min(numChunks, failedChunk) ? nextChunk++ : -1;
  }

  /** Chunks are taken in their order, so all before a failed one are read or fail, too. */
  private synchronized void fail(
      long chunk, @Nullable RuntimeException failure, @Nullable Error otherFailure) {
    if (chunk >= failedChunk) return;
    failedChunk = chunk;
    exception = failure;
    error = otherFailure;
  }
}
