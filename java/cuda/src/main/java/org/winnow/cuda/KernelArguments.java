package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT;
import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.winnow.internal.Arguments;

/**
 * Arguments of one launch, packed as the kernel reads them: in its order, each aligned to its own
 * alignment. Kept and filled anew for every launch: nothing is allocated.
 */
final class KernelArguments implements AutoCloseable {
  /** What the driver takes of every device. */
  private static final int MAX_BYTES = 4096;

  // The list that cuLaunchKernel reads (marker, address, marker, address of the size, end), then
  // the size, then the arguments.
  private static final int SIZE_OFFSET = 5 * Long.BYTES;
  private static final int ARGUMENTS_OFFSET = SIZE_OFFSET + Long.BYTES;

  private final BytePointer memory = new BytePointer(ARGUMENTS_OFFSET + MAX_BYTES);
  private final ByteBuffer bytes = memory.asByteBuffer().order(ByteOrder.nativeOrder());
  private final PointerPointer<Pointer> list = new PointerPointer<>(memory); // the same bytes

  KernelArguments() {
    long address = memory.address();
    bytes.putLong(0, CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT);
    bytes.putLong(Long.BYTES, address + ARGUMENTS_OFFSET);
    bytes.putLong(2 * Long.BYTES, CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT);
    bytes.putLong(3 * Long.BYTES, address + SIZE_OFFSET);
    bytes.putLong(4 * Long.BYTES, 0); // CU_LAUNCH_PARAM_END
    begin();
  }

  /** Forgets the arguments of the launch before. */
  KernelArguments begin() {
    bytes.position(ARGUMENTS_OFFSET);
    return this;
  }

  /** Of a kernel whose first argument is an operation's struct. */
  KernelArguments of(Arguments arguments) {
    return begin().struct(arguments);
  }

  /** An operation's struct by value. */
  KernelArguments struct(Arguments arguments) {
    align(Long.BYTES);
    arguments.copyTo(bytes, bytes.position());
    bytes.position(bytes.position() + arguments.sizeBytes());
    return this;
  }

  /** A struct of zeros, a multiple of 8 bytes. */
  KernelArguments zeros(int sizeBytes) {
    align(Long.BYTES);
    for (int i = 0; i < sizeBytes; i += Long.BYTES) bytes.putLong(0);
    return this;
  }

  KernelArguments i32(int value) {
    align(Integer.BYTES);
    bytes.putInt(value);
    return this;
  }

  KernelArguments i64(long value) {
    align(Long.BYTES);
    bytes.putLong(value);
    return this;
  }

  /** The list for {@code cuLaunchKernel}'s {@code extra}, complete with the size. */
  PointerPointer<Pointer> list() {
    bytes.putLong(SIZE_OFFSET, bytes.position() - ARGUMENTS_OFFSET);
    return list;
  }

  /** Where a value or struct of that alignment may begin. */
  KernelArguments align(int alignmentBytes) {
    // ARGUMENTS_OFFSET is a multiple of 8: positions align as the arguments do
    bytes.position((bytes.position() + alignmentBytes - 1) & -alignmentBytes);
    return this;
  }

  @Override
  public void close() {
    memory.close();
  }
}
