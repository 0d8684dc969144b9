package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_POINTER_AS_INT;
import static org.bytedeco.cuda.global.cudart.CU_LAUNCH_PARAM_BUFFER_SIZE_AS_INT;

import java.nio.ByteBuffer;
import java.nio.ByteOrder;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;

/**
 * Arguments of one launch, packed as the kernel reads them: in its order, each aligned to its own
 * size. Kept and filled anew for every launch: nothing is allocated.
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

  /** A device address, or 0 for null. */
  KernelArguments address(long value) {
    return i64(value);
  }

  KernelArguments i32(int value) {
    align(Integer.BYTES).putInt(value);
    return this;
  }

  KernelArguments i64(long value) {
    align(Long.BYTES).putLong(value);
    return this;
  }

  KernelArguments f32(float value) {
    align(Float.BYTES).putFloat(value);
    return this;
  }

  KernelArguments f64(double value) {
    align(Double.BYTES).putDouble(value);
    return this;
  }

  /** The list for {@code cuLaunchKernel}'s {@code extra}, complete with the size. */
  PointerPointer<Pointer> list() {
    bytes.putLong(SIZE_OFFSET, bytes.position() - ARGUMENTS_OFFSET);
    return list;
  }

  private ByteBuffer align(int sizeBytes) {
    // ARGUMENTS_OFFSET is a multiple of 8: positions align as the arguments do
    return bytes.position((bytes.position() + sizeBytes - 1) & -sizeBytes);
  }

  @Override
  public void close() {
    memory.close();
  }
}
