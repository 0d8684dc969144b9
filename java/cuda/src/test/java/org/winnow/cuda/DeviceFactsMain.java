package org.winnow.cuda;

import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_CLOCK_RATE;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_ECC_ENABLED;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE;
import static org.bytedeco.cuda.global.cudart.CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE;
import static org.bytedeco.cuda.global.cudart.cuDeviceGetAttribute;
import static org.bytedeco.cuda.global.cudart.cuDriverGetVersion;

import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.Map;
import java.util.Objects;
import org.winnow.gpucheck.ResultLines;

/** Writes what the driver says of itself and of its devices, or why there is none. */
final class DeviceFactsMain {
  private static final String STAND_IN = "gpusim"; // how its devices' names begin

  private DeviceFactsMain() {}

  public static void main(String[] arguments) {
    ResultLines lines =
        new ResultLines(Path.of(Objects.requireNonNull(System.getProperty(ResultLines.PROPERTY))));
    String cause = CudaDriver.unavailabilityCause();
    if (cause != null) {
      lines.add(Map.of("kind", "unavailable", "text", cause));
      System.exit(5);
    }
    Map<String, Object> facts = new LinkedHashMap<>();
    facts.put("kind", "facts");
    int[] version = new int[1];
    CudaError.check(cuDriverGetVersion(version), "cuDriverGetVersion");
    for (CudaDevice device : CudaDevice.all())
      facts.put("device " + device.ordinal(), device.toString());
    CudaDevice first = CudaDevice.all().get(0);
    facts.put("device", first.name());
    facts.put("simulated", first.name().startsWith(STAND_IN));
    facts.put("CUDA version of the driver", CudaDriver.describe(version[0]));
    facts.put("compute capability", first.computeMajor() + "." + first.computeMinor());
    facts.put("multiprocessors", first.multiprocessors());
    facts.put("memory, bytes", first.memoryBytes());
    int device = CudaDevice.handle(first.ordinal());
    put(facts, "L2 cache, bytes", CU_DEVICE_ATTRIBUTE_L2_CACHE_SIZE, device);
    put(facts, "clock, kHz", CU_DEVICE_ATTRIBUTE_CLOCK_RATE, device);
    put(facts, "memory clock, kHz", CU_DEVICE_ATTRIBUTE_MEMORY_CLOCK_RATE, device);
    put(facts, "memory bus, bits", CU_DEVICE_ATTRIBUTE_GLOBAL_MEMORY_BUS_WIDTH, device);
    put(facts, "ECC", CU_DEVICE_ATTRIBUTE_ECC_ENABLED, device);
    try (CudaBackend backend = new CudaBackend()) { // a context can be made
      facts.put("budget of a backend, bytes", backend.budgetBytes());
    }
    lines.add(facts);
  }

  /** Some drivers do not say all. */
  private static void put(Map<String, Object> facts, String name, int attribute, int device) {
    int[] value = new int[1];
    if (cuDeviceGetAttribute(value, attribute, device) == CudaError.SUCCESS)
      facts.put(name, value[0]);
  }
}
