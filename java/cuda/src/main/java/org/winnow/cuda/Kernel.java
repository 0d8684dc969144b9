package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
import static org.bytedeco.cuda.global.cudart.cuFuncSetAttribute;
import static org.bytedeco.cuda.global.cudart.cuLaunchKernel;

import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.javacpp.PointerPointer;
import org.jspecify.annotations.Nullable;

/** A kernel. The first launch looks it up by name in its module. */
final class Kernel {
  private final CudaContext context;
  private final String module;
  private final String name;
  private @Nullable CUfunc_st function;
  private int maxSharedBytes = DeviceLaunch.DEFAULT_SHARED_BYTES;

  Kernel(CudaContext context, String module, String name) {
    this.context = context;
    this.module = module;
    this.name = name;
  }

  /**
   * Checks the result of a look-up by type.
   *
   * @throws IllegalArgumentException if there is none
   */
  static Kernel require(@Nullable Kernel found, String what, int code) {
    if (found == null)
      throw new IllegalArgumentException("there is no kernel for the " + what + " of code " + code);
    return found;
  }

  /**
   * Enqueues a launch. Every extent must be at least 1.
   *
   * @param sharedBytes dynamic shared memory per block
   */
  void launch(
      CudaStream stream,
      int gridX,
      int gridY,
      int gridZ,
      int blockX,
      int sharedBytes,
      KernelArguments arguments) {
    if (function == null) function = context.module(module).function(name);
    if (sharedBytes > maxSharedBytes) {
      context.check(
          cuFuncSetAttribute(
              function, CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES, sharedBytes),
          "cuFuncSetAttribute");
      maxSharedBytes = sharedBytes;
    }
    int status =
        cuLaunchKernel(
            function,
            gridX,
            gridY,
            gridZ,
            blockX,
            1,
            1,
            sharedBytes,
            stream.handle(),
            (PointerPointer<?>) null,
            arguments.list());
    if (status != CudaError.SUCCESS)
      throw context.failure(
          status,
          "cuLaunchKernel",
          name
              + ", grid "
              + gridX
              + " x "
              + gridY
              + " x "
              + gridZ
              + ", block "
              + blockX
              + ", "
              + sharedBytes
              + " bytes of shared memory");
  }
}
