package org.winnow.internal;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;

/**
 * The argument struct of one operation in native memory, with a cell for the number that the
 * operation returns beside its {@link Status}. The operation's class fills the struct. A backend
 * reads it during the call and keeps no reference. Backends trust the pointers: the operation's
 * class has checked them.
 */
public abstract class Arguments {
  final ByteBuffer memory; // the struct alone
  private final ByteBuffer thread; // the memory of all structs of one thread
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

  /**
   * Zeroed memory that shares no cache line with other data. It is freed when it becomes
   * unreachable.
   */
  static ByteBuffer allocate(int sizeBytes) {
    int lineBytes = 64;
    return ByteBuffer.allocateDirect(sizeBytes + lineBytes)
        .alignedSlice(lineBytes)
        .order(ByteOrder.nativeOrder());
  }

  /** Address of the struct in host memory. */
  public final long address() {
    return address;
  }

  public final int sizeBytes() {
    return sizeBytes;
  }

  /** Copies the struct to a position in another buffer, for a kernel that takes it by value. */
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
