package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuGetErrorName;
import static org.bytedeco.cuda.global.cudart.cuGetErrorString;

import java.util.function.ToIntFunction;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.PointerPointer;

/** Converts driver statuses to exceptions. */
final class CudaError {
  static final int SUCCESS = 0;
  static final int OUT_OF_MEMORY = 2;
  static final int NO_BINARY_FOR_GPU = 209;
  static final int NOT_READY = 600;

  private CudaError() {}

  /**
   * @throws CudaException with the driver's name and text unless the call succeeded
   */
  static void check(int status, String call) {
    if (status != SUCCESS) throw exception(status, call, "");
  }

  /**
   * @param detail additional information, appended to the driver's text
   */
  static CudaException exception(int status, String call, String detail) {
    String text = text(status, pointer -> cuGetErrorString(status, pointer), "unknown error");
    String name = text(status, pointer -> cuGetErrorName(status, pointer), "CUDA_ERROR");
    return new CudaException(call, status, name, detail.isEmpty() ? text : text + ": " + detail);
  }

  /** The error for a failed allocation, with the driver's name and text. */
  static OutOfMemoryError outOfMemory(String need, String call) {
    return new OutOfMemoryError(need + ": " + exception(OUT_OF_MEMORY, call, "").getMessage());
  }

  /** Whether the error destroys the device context for the rest of the process. */
  static boolean isSticky(int status) {
    return switch (status) {
      case 214, // ECC_UNCORRECTABLE
          220, // NVLINK_UNCORRECTABLE
          226, // CONTAINED
          700, // ILLEGAL_ADDRESS
          702, // LAUNCH_TIMEOUT
          709, // CONTEXT_IS_DESTROYED
          710, // ASSERT
          714, // HARDWARE_STACK_ERROR
          715, // ILLEGAL_INSTRUCTION
          716, // MISALIGNED_ADDRESS
          717, // INVALID_ADDRESS_SPACE
          718, // INVALID_PC
          719, // LAUNCH_FAILED
          721, // TENSOR_MEMORY_LEAK
          999 -> // UNKNOWN
          true;
      default -> false;
    };
  }

  private static String text(int status, ToIntFunction<PointerPointer<?>> query, String otherwise) {
    try (PointerPointer<BytePointer> text = new PointerPointer<>(1)) {
      text.put(0, null);
      if (query.applyAsInt(text) != SUCCESS) return otherwise;
      BytePointer found = text.get(BytePointer.class, 0);
      return found == null || found.isNull() ? otherwise : found.getString();
    }
  }
}
