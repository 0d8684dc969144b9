package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.cuDeviceGetCount;
import static org.bytedeco.cuda.global.cudart.cuDriverGetVersion;
import static org.bytedeco.cuda.global.cudart.cuInit;

import java.util.List;
import org.bytedeco.cuda.global.cudart;
import org.bytedeco.javacpp.Loader;
import org.jspecify.annotations.Nullable;
import org.winnow.cpu.NativeLibrary;

/**
 * Finds out whether this machine's driver can run the backend. The checks run in order, and each
 * one requires that all earlier ones succeeded: the JavaCPP presets cannot be loaded without a
 * driver, and calling a function that the driver lacks would end the process.
 *
 * <p>The checks load the driver and the presets, which stay loaded, and initialise the driver. They
 * query the driver's version, the devices and their properties. They create no context and allocate
 * no device memory.
 */
final class CudaDriver {
  /** CUDA version that compiled the kernels, and the lowest one that the driver must support. */
  static final int MIN_VERSION = 13000;

  static final int MIN_COMPUTE_MAJOR = 8;

  /** The names of all driver functions that the backend calls. */
  static final List<String> FUNCTIONS =
      List.of(
          "cuCtxSetCurrent",
          "cuDeviceGet",
          "cuDeviceGetAttribute",
          "cuDeviceGetCount",
          "cuDeviceGetName",
          "cuDevicePrimaryCtxRelease_v2",
          "cuDevicePrimaryCtxRetain",
          "cuDeviceTotalMem_v2",
          "cuDriverGetVersion",
          "cuEventCreate",
          "cuEventDestroy_v2",
          "cuEventQuery",
          "cuEventRecord",
          "cuEventSynchronize",
          "cuFuncSetAttribute",
          "cuGetErrorName",
          "cuGetErrorString",
          "cuGraphDestroy",
          "cuGraphExecDestroy",
          "cuGraphInstantiateWithFlags",
          "cuGraphLaunch",
          "cuInit",
          "cuLaunchKernel",
          "cuMemAlloc_v2",
          "cuMemFreeHost",
          "cuMemFree_v2",
          "cuMemGetInfo_v2",
          "cuMemHostAlloc",
          "cuMemcpyDtoDAsync_v2",
          "cuMemcpyDtoHAsync_v2",
          "cuMemcpyHtoDAsync_v2",
          "cuMemsetD8Async",
          "cuModuleGetFunction",
          "cuModuleLoadDataEx",
          "cuModuleUnload",
          "cuStreamBeginCapture_v2",
          "cuStreamCreate",
          "cuStreamDestroy_v2",
          "cuStreamEndCapture",
          "cuStreamSynchronize",
          "cuStreamWaitEvent");

  private static final String DRIVER_LIBRARY = "libcuda.so.1";
  private static final String RUNTIME_LIBRARY = "libcudart.so.13";
  private static final String PRESETS_VERSION = "13.1-9.19-1.5.13";

  private static @Nullable String cause; // result of probe
  private static boolean probed;

  private CudaDriver() {}

  /**
   * Null if there is a driver and a device that can run the kernels, otherwise the reason why not.
   */
  static synchronized @Nullable String unavailabilityCause() {
    if (!probed) {
      cause = probe();
      probed = true;
    }
    return cause;
  }

  private static @Nullable String probe() {
    cause = NativeLibrary.unavailabilityCause();
    if (cause == null) cause = libraryCause();
    if (cause == null) cause = presetsCause();
    if (cause == null) cause = versionCause();
    if (cause == null) cause = deviceCause();
    return cause == null ? KernelModule.absenceCause() : cause;
  }

  /** Loads the library and looks up its functions, without calling any. */
  private static @Nullable String libraryCause() {
    try {
      Loader.loadGlobal(DRIVER_LIBRARY);
    } catch (UnsatisfiedLinkError e) {
      return "no NVIDIA driver: " + e.getMessage();
    }
    if (Loader.addressof("cuInit") == null) {
      return DRIVER_LIBRARY + " was found but is no CUDA driver: it has no function cuInit";
    }
    for (String function : FUNCTIONS) {
      if (Loader.addressof(function) == null) {
        return "the NVIDIA driver is too old: "
            + DRIVER_LIBRARY
            + " has no function "
            + function
            + "; install driver 580 or later";
      }
    }
    return null;
  }

  private static @Nullable String presetsCause() {
    try {
      Loader.load(cudart.class);
      return null;
    } catch (LinkageError e) {
      return presetsCause(e);
    }
  }

  /** Message that names the missing part, derived from the loader's error. */
  static String presetsCause(LinkageError error) {
    for (Throwable t = error; t != null; t = t.getCause()) {
      if (t.getMessage() != null && t.getMessage().contains(RUNTIME_LIBRARY)) {
        return RUNTIME_LIBRARY
            + " is missing: install the CUDA toolkit 13, or add the jar "
            + jar("cuda-redist")
            + "; cause: "
            + t.getMessage();
      }
    }
    return "the bindings of the CUDA driver cannot be loaded: add the jar "
        + jar("cuda")
        + "; cause: "
        + error;
  }

  private static String jar(String artifact) {
    return "org.bytedeco:"
        + artifact
        + ":"
        + PRESETS_VERSION
        + ":linux-x86_64 (Maven: <classifier>linux-x86_64</classifier>, <scope>runtime</scope>)";
  }

  private static @Nullable String versionCause() {
    int[] version = new int[1];
    int status = cuDriverGetVersion(version);
    if (status != CudaError.SUCCESS) return refusal("cuDriverGetVersion", status);
    if (version[0] < MIN_VERSION) {
      return "the NVIDIA driver is too old: it supports CUDA "
          + describe(version[0])
          + ", the kernels need "
          + describe(MIN_VERSION)
          + "; install driver 580 or later";
    }
    status = cuInit(0);
    if (status == 100) return "no GPU: the NVIDIA driver finds no device"; // CUDA_ERROR_NO_DEVICE
    return status == CudaError.SUCCESS ? null : refusal("cuInit", status);
  }

  /** One suitable device is enough. */
  private static @Nullable String deviceCause() {
    int[] count = new int[1];
    int status = cuDeviceGetCount(count);
    if (status != CudaError.SUCCESS) return refusal("cuDeviceGetCount", status);
    if (count[0] == 0) return "no GPU: the NVIDIA driver finds no device";
    @Nullable String cause = null;
    for (int ordinal = 0; ordinal < count[0]; ordinal++) {
      try {
        cause = CudaDevice.query(ordinal).unsuitability();
      } catch (CudaException e) {
        cause = "device " + ordinal + " cannot be asked: " + e.getMessage();
      }
      if (cause == null) return null;
    }
    return cause;
  }

  private static String refusal(String call, int status) {
    return "the NVIDIA driver refuses: " + CudaError.exception(status, call, "").getMessage();
  }

  /** {@code 13010} as {@code "13.1"}. */
  static String describe(int version) {
    return version / 1000 + "." + version % 1000 / 10;
  }
}
