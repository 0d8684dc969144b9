package org.winnow.cuda;

import static org.assertj.core.api.Assertions.assertThat;
import static org.junit.jupiter.api.Assumptions.assumeFalse;

import com.tngtech.archunit.core.importer.ClassFileImporter;
import com.tngtech.archunit.core.importer.ImportOption;
import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Set;
import java.util.TreeSet;
import java.util.stream.Collectors;
import org.bytedeco.cuda.global.cudart;
import org.junit.jupiter.api.Test;
import org.junit.jupiter.api.io.TempDir;

/** Each reason that there is no CUDA backend, found in a process with a driver of that kind. */
@WithoutDevice
class CudaDriverTest {
  private static final String ANSWERS =
      """
      #include <cstring>
      #define ANSWER(name) extern "C" int name
      """;

  @TempDir Path directory;

  @Test
  void saysThatThereIsNoDriver() throws Exception {
    List<String> complaint =
        new FakeDriver(directory).run(List.of("env", "LD_PRELOAD=libcuda.so.1", "true"));
    assumeFalse(complaint.isEmpty(), "the loader finds an NVIDIA driver on this machine");
    assertUnavailable("no NVIDIA driver: libcuda.so.1: cannot open shared object file");
  }

  @Test
  void saysThatTheLibraryIsNoDriver() throws Exception {
    compile("");
    assertUnavailable("libcuda.so.1 was found but is no CUDA driver: it has no function cuInit");
  }

  @Test
  void saysWhichFunctionAnOldDriverLacks() throws Exception {
    compile("ANSWER(cuInit)(unsigned) { return 0; }");
    assertUnavailable(
        "the NVIDIA driver is too old: libcuda.so.1 has no function cuCtxSetCurrent; install driver"
            + " 580 or later");
  }

  @Test
  void saysWhichCudaAnOldDriverSupports() throws Exception {
    compile(driver(12080, 0, 1, 9));
    assertUnavailable(
        "the NVIDIA driver is too old: it supports CUDA 12.8, the kernels need 13.0; install driver"
            + " 580 or later");
  }

  @Test
  void saysThatThereIsNoDevice() throws Exception {
    compile(driver(13000, 100, 0, 9));
    assertUnavailable("no GPU: the NVIDIA driver finds no device");
    compile(driver(13000, 0, 0, 9));
    assertUnavailable("no GPU: the NVIDIA driver finds no device");
  }

  @Test
  void saysThatTheDriverRefuses() throws Exception {
    compile(driver(13000, 999, 1, 9));
    assertUnavailable(
        "the NVIDIA driver refuses: cuInit failed: CUDA_ERROR_NAME (999), text of the driver");
  }

  @Test
  void saysThatTheDeviceIsTooOld() throws Exception {
    compile(driver(13000, 0, 1, 7));
    assertUnavailable(
        "device cuda:0: Some GPU, compute capability 7.7, 7 multiprocessors, 0.0 GiB is too old:"
            + " the kernels need compute capability 8.0");
  }

  @Test
  void saysWhatToAddForTheRuntimeLibrary() {
    LinkageError error = new UnsatisfiedLinkError("no jnicudart in java.library.path");
    error.initCause(
        new UnsatisfiedLinkError(
            "/x/libjnicudart.so: libcudart.so.13: cannot open shared object file"));
    assertThat(CudaDriver.presetsCause(error))
        .startsWith(
            "libcudart.so.13 is missing: install the CUDA toolkit 13, or add the jar"
                + " org.bytedeco:cuda-redist:13.1-9.19-1.5.13:linux-x86_64 ");
    assertThat(CudaDriver.presetsCause(new UnsatisfiedLinkError("no jnicudart")))
        .startsWith(
            "the bindings of the CUDA driver cannot be loaded: add the jar"
                + " org.bytedeco:cuda:13.1-9.19-1.5.13:linux-x86_64 ");
  }

  /** The versions that names end with differ between the binding and the library. */
  @Test
  void looksForEveryFunctionThatTheBackendCalls() {
    Set<String> called =
        new ClassFileImporter()
                .withImportOption(ImportOption.Predefined.DO_NOT_INCLUDE_TESTS)
                .importPackages("org.winnow.cuda")
                .stream()
                .flatMap(type -> type.getCodeUnits().stream())
                .flatMap(
                    unit ->
                        java.util.stream.Stream.concat(
                            unit.getMethodCallsFromSelf().stream(),
                            unit.getMethodReferencesFromSelf().stream()))
                .filter(call -> call.getTargetOwner().getName().equals(cudart.class.getName()))
                .map(call -> call.getName())
                .collect(Collectors.toCollection(TreeSet::new));
    Set<String> known =
        CudaDriver.FUNCTIONS.stream()
            .map(name -> name.replaceAll("_v[0-9]+$|WithFlags$", ""))
            .collect(Collectors.toCollection(TreeSet::new));
    assertThat(called).isEqualTo(known);
  }

  /** A driver that answers the probe and nothing else. */
  private static String driver(int version, int initStatus, int numDevices, int computeMajor) {
    Set<String> answered =
        Set.of(
            "cuDriverGetVersion",
            "cuInit",
            "cuGetErrorName",
            "cuGetErrorString",
            "cuDeviceGetCount",
            "cuDeviceGet",
            "cuDeviceGetName",
            "cuDeviceTotalMem_v2",
            "cuDeviceGetAttribute");
    String others =
        CudaDriver.FUNCTIONS.stream()
            .filter(name -> !answered.contains(name))
            .map(name -> "ANSWER(" + name + ")() { return 801; }\n")
            .collect(Collectors.joining());
    return others
        + """
        ANSWER(cuDriverGetVersion)(int* version) { *version = VERSION; return 0; }
        ANSWER(cuInit)(unsigned) { return INIT; }
        ANSWER(cuGetErrorName)(int, const char** text) { *text = "CUDA_ERROR_NAME"; return 0; }
        ANSWER(cuGetErrorString)(int, const char** text) { *text = "text of the driver"; return 0; }
        ANSWER(cuDeviceGetCount)(int* count) { *count = COUNT; return 0; }
        ANSWER(cuDeviceGet)(int* device, int ordinal) { *device = ordinal; return 0; }
        ANSWER(cuDeviceGetName)(char* name, int, int) { std::strcpy(name, "Some GPU"); return 0; }
        ANSWER(cuDeviceTotalMem_v2)(size_t* bytes, int) { *bytes = 1; return 0; }
        ANSWER(cuDeviceGetAttribute)(int* value, int, int) { *value = MAJOR; return 0; }
        """
            .replace("VERSION", "" + version)
            .replace("INIT", "" + initStatus)
            .replace("COUNT", "" + numDevices)
            .replace("MAJOR", "" + computeMajor);
  }

  private void compile(String source) throws IOException, InterruptedException {
    new FakeDriver(directory).compile(ANSWERS + source);
  }

  private void assertUnavailable(String cause) throws IOException, InterruptedException {
    List<String> lines =
        new FakeDriver(directory)
            .runJava(ProbeMain.class, System.getProperty("org.bytedeco.javacpp.cachedir"));
    List<String> answers = new ArrayList<>(lines);
    answers.removeIf(line -> line.matches("INFO: .*|.* org.winnow.Backends best"));
    assertThat(answers).as(String.join("\n", lines)).hasSize(4);
    assertThat(answers.get(0)).startsWith(cause);
    assertThat(answers.get(1)).isEqualTo("backend cuda is unavailable: " + answers.get(0));
    assertThat(answers.get(2)).isEqualTo(answers.get(1));
    assertThat(answers.get(3)).isEqualTo("cpu");
    assertThat(String.join("\n", lines)).contains("cuda is unavailable: " + answers.get(0));
  }
}
