package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES;
import static org.bytedeco.cuda.global.cudart.cuFuncSetAttribute;
import static org.bytedeco.cuda.global.cudart.cuLaunchKernel;

import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.javacpp.PointerPointer;

/** A kernel by its name; looked up in its module when it is first launched. */
final class Kernel {
  private final CudaContext context;
  private final String module;
  private final String name;
  private CUfunc_st function;
  private int maxSharedBytes = DeviceLaunch.DEFAULT_SHARED_BYTES;

  Kernel(CudaContext context, String module, String name) {
    this.context = context;
    this.module = module;
    this.name = name;
  }

  /**
   * A kernel that was looked up by a type.
   *
   * @throws IllegalArgumentException if there is none
   */
  static Kernel require(Kernel found, String what, int code) {
    if (found == null)
      throw new IllegalArgumentException("there is no kernel for the " + what + " of code " + code);
    return found;
  }

  /**
   * Enqueues a launch; every extent is at least 1.
   *
   * @param sharedBytes of dynamic shared memory per block
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
