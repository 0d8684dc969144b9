package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT;
import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.jspecify.annotations.Nullable;
import org.winnow.internal.Arguments;

/**
 * Arguments of one launch, packed in the kernel's order, each at its own alignment. Every launch
 * reuses the same buffer, so launches allocate nothing.
 */
final class KernelArguments implements AutoCloseable {
  /** Maximum size of a kernel's arguments on every device. */
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

  /** Removes the arguments of the last launch. */
  KernelArguments begin() {
    bytes.position(ARGUMENTS_OFFSET);
    return this;
  }

  /** Begins the arguments of a kernel whose first argument is an operation's struct. */
  KernelArguments of(Arguments arguments) {
    return begin().struct(arguments);
  }

  /** Appends an operation's struct by value. */
  KernelArguments struct(Arguments arguments) {
    align(Long.BYTES);
    arguments.copyTo(bytes, bytes.position());
    bytes.position(bytes.position() + arguments.sizeBytes());
    return this;
  }

  /**
   * Begins the arguments of a kernel that takes two structs, of which the second may be missing,
   * and the number of blocks of the first.
   */
  KernelArguments ofLinked(Arguments first, @Nullable Arguments second, int firstBlocks) {
    begin().struct(first);
    return (second == null ? zeros(first.sizeBytes()) : struct(second)).i32(firstBlocks);
  }

  /** Appends a struct of zeros, whose size is a multiple of 8 bytes. */
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

  /** The list for {@code cuLaunchKernel}'s {@code extra}, with the size filled in. */
  PointerPointer<Pointer> list() {
    bytes.putLong(SIZE_OFFSET, bytes.position() - ARGUMENTS_OFFSET);
    return list;
  }

  /** Moves to the next position of that alignment. */
  KernelArguments align(int alignmentBytes) {
    // ARGUMENTS_OFFSET is a multiple of 8, so aligned positions are aligned arguments
    bytes.position((bytes.position() + alignmentBytes - 1) & -alignmentBytes);
    return this;
  }

  @Override
  public void close() {
    memory.close();
  }
}
