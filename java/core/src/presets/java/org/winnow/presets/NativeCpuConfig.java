package org.winnow.presets;

import org.bytedeco.javacpp.annotation.Platform;
import org.bytedeco.javacpp.annotation.Properties;
import org.bytedeco.javacpp.tools.Info;
import org.bytedeco.javacpp.tools.InfoMap;
import org.bytedeco.javacpp.tools.InfoMapper;

/**
 * Tells JavaCPP which C++ functions to bind; the operations' C functions are bound by a class that
 * {@code GenerateContracts} writes. Every pointer arrives in Java as a {@code long} address: no
 * object per call, no overloads that copy arrays.
 */
@Properties(
    value =
        @Platform(
            value = "linux",
            include = {
              "winnow/base/file.h",
              "winnow/base/memory.h",
              "winnow/base/probe.h",
              "winnow.h", // only included: NativeOperations has its functions
              "struct_layout.h", // likewise: compares the layouts that Java writes
            },
            link = "winnow@.1",
            library = "jniwinnow"),
    target = "org.winnow.internal",
    global = "org.winnow.internal.NativeCpu")
public class NativeCpuConfig implements InfoMapper {
  @Override
  public void map(InfoMap map) {
    map.put(new Info("WINNOW_BINDING").define());
    map.put(new Info("void").valueTypes("void").pointerTypes(address("void")));
    map.put(new Info("float").valueTypes("float").pointerTypes(address("float")));
    map.put(new Info("double").valueTypes("double").pointerTypes(address("double")));
    map.put(new Info("int32_t").valueTypes("int").pointerTypes(address("int32_t")));
    map.put(new Info("int64_t").valueTypes("long").pointerTypes(address("int64_t")));
    map.put(new Info("uint64_t").valueTypes("long").pointerTypes(address("uint64_t")));
    map.put(new Info("winnow::Cpu").pointerTypes(address("winnow::Cpu")));
    map.put(new Info("winnow::File").pointerTypes(address("winnow::File")));
    for (String name : new String[] {"DType"}) {
      map.put(new Info("winnow::" + name).cast().enumerate(false).valueTypes("int"));
    }
    map.put(new Info("winnow::kDirectAlignmentBytes").skip()); // RangeReader.DIRECT_ALIGNMENT_BYTES
  }

  private static String address(String type) {
    return "@Cast(\"" + type + "*\") long";
  }
}
