package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_JIT_ERROR_LOG_BUFFER;
import static org.bytedeco.cuda.global.cudart.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES;
import static org.bytedeco.cuda.global.cudart.cuModuleGetFunction;
import static org.bytedeco.cuda.global.cudart.cuModuleLoadDataEx;
import static org.bytedeco.cuda.global.cudart.cuModuleUnload;

import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.util.Arrays;
import java.util.List;
import java.util.stream.IntStream;
import org.bytedeco.cuda.cudart.CUfunc_st;
import org.bytedeco.cuda.cudart.CUmod_st;
import org.bytedeco.javacpp.BytePointer;
import org.bytedeco.javacpp.IntPointer;
import org.bytedeco.javacpp.Pointer;
import org.bytedeco.javacpp.PointerPointer;
import org.jspecify.annotations.Nullable;

/**
 * The kernels of one source file on one device. They come from a cubin for the device's
 * architecture. If none fits, the driver compiles the PTX.
 */
final class KernelModule implements AutoCloseable {
  private static final String DIRECTORY = "/org/winnow/cuda/kernels/";

  private static final int LOG_BYTES = 4096;

  private final CudaContext context;
  private final CUmod_st handle = new CUmod_st();

  private KernelModule(CudaContext context) {
    this.context = context;
  }

  /**
   * Loads the kernels of {@code <name>_cuda.cu}.
   *
   * @throws CudaException if the driver cannot load them
   */
  static KernelModule load(CudaContext context, String name) {
    KernelModule module = new KernelModule(context);
    CudaDevice device = context.device();
    for (String cubin : cubins(name, device.computeMajor(), device.computeMinor())) {
      if (module.loads(resource(cubin))) return module;
    }
    byte[] ptx = resource(ptx(name));
    if (!module.loads(Arrays.copyOf(ptx, ptx.length + 1))) // the driver expects a terminating zero
    throw context.failure(CudaError.NO_BINARY_FOR_GPU, "cuModuleLoadDataEx", name);
    return module;
  }

  /** Null if the kernels are in the jar, otherwise the reason why not. */
  static @Nullable String absenceCause() {
    return isThere(ptx("add")) ? null : "the kernels are not in the jar: it was built without nvcc";
  }

  /**
   * The cubins in the jar that run on a device of that compute capability, best first. A cubin runs
   * on its own minor version and on later ones of the same major version.
   */
  static List<String> cubins(String name, int computeMajor, int computeMinor) {
    return IntStream.rangeClosed(0, computeMinor)
        .mapToObj(older -> name + "_cuda.sm_" + computeMajor + (computeMinor - older) + ".cubin")
        .filter(KernelModule::isThere)
        .toList();
  }

  private static String ptx(String name) {
    return name + "_cuda.ptx";
  }

  private static boolean isThere(String resource) {
    return KernelModule.class.getResource(DIRECTORY + resource) != null;
  }

  CUfunc_st function(String name) {
    CUfunc_st function = new CUfunc_st();
    int status = cuModuleGetFunction(function, handle, name);
    if (status != CudaError.SUCCESS) throw context.failure(status, "cuModuleGetFunction", name);
    return function;
  }

  /** Loads an image. Returns false if it is for other devices. */
  private boolean loads(byte[] image) {
    try (BytePointer bytes = new BytePointer(image);
        BytePointer log = new BytePointer(LOG_BYTES);
        IntPointer options = new IntPointer(2);
        PointerPointer<Pointer> values = new PointerPointer<>(2)) {
      log.put(0, (byte) 0);
      values
          .put(0, log)
          .put(1, new HostPointer(LOG_BYTES)); // this option's value is a number, not a pointer
      options.put(CU_JIT_ERROR_LOG_BUFFER, CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES);
      int status = cuModuleLoadDataEx(handle, bytes, 2, options, values);
      if (status == CudaError.NO_BINARY_FOR_GPU) return false;
      if (status != CudaError.SUCCESS)
        throw context.failure(status, "cuModuleLoadDataEx", log.getString().strip());
      return true;
    }
  }

  private static byte[] resource(String name) {
    try (InputStream stream = KernelModule.class.getResourceAsStream(DIRECTORY + name)) {
      return stream.readAllBytes();
    } catch (IOException e) {
      throw new UncheckedIOException("cannot read the kernels " + name, e);
    }
  }

  @Override
  public void close() {
    cuModuleUnload(handle);
  }
}
