package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT;
import static org.bytedeco.cuda.global.cudart.cuDeviceGet;
import static org.bytedeco.cuda.global.cudart.cuDeviceGetAttribute;
import static org.bytedeco.cuda.global.cudart.cuDeviceGetCount;
import static org.bytedeco.cuda.global.cudart.cuDeviceGetName;
import static org.bytedeco.cuda.global.cudart.cuDeviceTotalMem;

import java.nio.charset.StandardCharsets;
import java.util.ArrayList;
import java.util.List;
import org.bytedeco.javacpp.SizeTPointer;
import org.jspecify.annotations.Nullable;
import org.winnow.BackendUnavailableException;

/**
 * A GPU that the driver reports.
 *
 * @param ordinal number of the device, from 0
 * @param name product name
 * @param computeMajor major number of the compute capability, the 9 of 9.0
 * @param computeMinor minor number of the compute capability, the 0 of 9.0
 * @param multiprocessors number of multiprocessors
 * @param sharedBytesPerBlock maximum shared memory per block
 * @param memoryBytes total memory
 */
public record CudaDevice(
    int ordinal,
    String name,
    int computeMajor,
    int computeMinor,
    int multiprocessors,
    int sharedBytesPerBlock,
    long memoryBytes) {
  /**
   * All devices of this machine, including those that cannot run the kernels.
   *
   * @throws BackendUnavailableException with the reason if there is no driver, or no device that
   *     can run the kernels
   */
  public static List<CudaDevice> all() {
    String cause = CudaDriver.unavailabilityCause();
    if (cause != null) throw new BackendUnavailableException(CudaBackend.NAME, cause);
    int[] count = new int[1];
    CudaError.check(cuDeviceGetCount(count), "cuDeviceGetCount");
    List<CudaDevice> devices = new ArrayList<>();
    for (int ordinal = 0; ordinal < count[0]; ordinal++) devices.add(query(ordinal));
    return devices;
  }

  /** Queries the driver, which must be initialised. */
  static CudaDevice query(int ordinal) {
    int device = handle(ordinal);
    byte[] name = new byte[256];
    CudaError.check(cuDeviceGetName(name, name.length, device), "cuDeviceGetName");
    int length = 0;
    while (length < name.length && name[length] != 0) length++;
    try (SizeTPointer memoryBytes = new SizeTPointer(1)) {
      CudaError.check(cuDeviceTotalMem(memoryBytes, device), "cuDeviceTotalMem");
      return new CudaDevice(
          ordinal,
          new String(name, 0, length, StandardCharsets.UTF_8),
          attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR),
          attribute(device, CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MINOR),
          attribute(device, CU_DEVICE_ATTRIBUTE_MULTIPROCESSOR_COUNT),
          attribute(device, CU_DEVICE_ATTRIBUTE_MAX_SHARED_MEMORY_PER_BLOCK_OPTIN),
          memoryBytes.get());
    }
  }

  static int handle(int ordinal) {
    int[] device = new int[1];
    CudaError.check(cuDeviceGet(device, ordinal), "cuDeviceGet");
    return device[0];
  }

  private static int attribute(int device, int attribute) {
    int[] value = new int[1];
    CudaError.check(cuDeviceGetAttribute(value, attribute, device), "cuDeviceGetAttribute");
    return value[0];
  }

  /** Null if the device can run the kernels, otherwise the reason why not. */
  @Nullable String unsuitability() {
    if (computeMajor >= CudaDriver.MIN_COMPUTE_MAJOR) return null;
    return "device "
        + this
        + " is too old: the kernels need compute capability "
        + CudaDriver.MIN_COMPUTE_MAJOR
        + ".0";
  }

  /** {@code cuda:0: NVIDIA H100, compute capability 9.0, 132 multiprocessors, 79.6 GiB}. */
  @Override
  public String toString() {
    return String.format(
        java.util.Locale.ROOT,
        "%s:%d: %s, compute capability %d.%d, %d multiprocessors, %.1f GiB",
        CudaBackend.NAME,
        ordinal,
        name,
        computeMajor,
        computeMinor,
        multiprocessors,
        memoryBytes / (double) (1L << 30));
  }
}
