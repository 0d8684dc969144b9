package org.winnow.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;

/**
 * The argument struct of one operation in native memory, and the cell beside it that receives the
 * number which a {@link Status} explains. An operation's class fills it; a backend reads it and
 * keeps nothing of it. Pointers are addresses, trusted: whoever fills the struct has checked them.
 */
public abstract class Arguments {
  final ByteBuffer memory; // the struct alone
  private final ByteBuffer thread; // the memory of all structs of the thread
  private final int detailOffset;
  private final long address;
  private final long detailAddress;
  private final int sizeBytes;

  Arguments(ByteBuffer thread, int offset, int sizeBytes, int detailOffset) {
    this.thread = thread;
    this.detailOffset = detailOffset;
    this.sizeBytes = sizeBytes;
    this.memory = thread.slice(offset, sizeBytes).order(ByteOrder.nativeOrder());
    long base = new BytePointer(thread).address();
    this.address = base + offset;
    this.detailAddress = base + detailOffset;
  }

  /** Zeros on a cache line of their own; freed when nobody refers to them. */
  static ByteBuffer allocate(int sizeBytes) {
    int lineBytes = 64;
    return ByteBuffer.allocateDirect(sizeBytes + lineBytes)
        .alignedSlice(lineBytes)
        .order(ByteOrder.nativeOrder());
  }

  /** Where the struct lies in the host's memory. */
  public final long address() {
    return address;
  }

  public final int sizeBytes() {
    return sizeBytes;
  }

  /** Copies the struct to a position of another buffer, as a kernel takes it by value. */
  public final void copyTo(ByteBuffer target, int position) {
    target.put(position, memory, 0, sizeBytes);
  }

  /** The number that the last operation of this thread returned beside its status. */
  public final long detail() {
    return thread.getLong(detailOffset);
  }

  public final void detail(long value) {
    thread.putLong(detailOffset, value);
  }

  final long detailAddress() {
    return detailAddress;
  }
}
