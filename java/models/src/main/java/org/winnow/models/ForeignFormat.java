package org.winnow.models;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/** Names the formats of weights that people have and Winnow does not read. */
final class ForeignFormat {
  /** Endings of file names in lower case, the longer one first where one ends with another. */
  private static final Map<String, String> ENDINGS = new LinkedHashMap<>();

  static {
    ENDINGS.put(".gguf", "GGUF (llama.cpp)");
    ENDINGS.put(".ggml", "GGML (llama.cpp)");
    for (String ending : new String[] {".bin", ".pt", ".pth", ".ckpt"})
      ENDINGS.put(ending, "PyTorch");
    ENDINGS.put(".npz", "NumPy arrays (older MLX models)");
    ENDINGS.put(".npy", "a NumPy array");
    for (String ending : new String[] {".h5", ".keras", ".tflite", ".pb"})
      ENDINGS.put(ending, "TensorFlow");
    ENDINGS.put(".msgpack", "Flax");
    ENDINGS.put(".onnx", "ONNX");
    ENDINGS.put(".mlmodel", "Core ML");
    ENDINGS.put(".nemo", "NeMo");
    ENDINGS.put(".engine", "TensorRT");
    for (String ending :
        new String[] {".zip", ".tar", ".tar.gz", ".tgz", ".tar.zst", ".tar.xz", ".7z"})
      ENDINGS.put(ending, "an archive; unpack it first");
    for (String ending : new String[] {".incomplete", ".part", ".crdownload", ".aria2"})
      ENDINGS.put(ending, "part of a download that did not finish");
  }

  private static final List<String> NO_WEIGHTS = List.of("a web page", "JSON", "text");
  private static final int TAR_MARK = 257; // offset of "ustar"
  private static final int READ_BYTES = TAR_MARK + 5;

  private ForeignFormat() {}

  /** The format that a file's name tells, or null. */
  static @Nullable String ofName(Path file) {
    Path name = file.getFileName();
    if (name == null) return null;
    String text = name.toString().toLowerCase(Locale.ROOT);
    for (Map.Entry<String, String> entry : ENDINGS.entrySet()) {
      if (text.endsWith(entry.getKey())) return entry.getValue();
    }
    return null;
  }

  /** The format that a file's first bytes tell, or null. */
  static @Nullable String ofContent(Path file) {
    String bytes;
    try (InputStream stream = Files.newInputStream(file)) {
      bytes = new String(stream.readNBytes(READ_BYTES), StandardCharsets.ISO_8859_1);
    } catch (IOException e) {
      return null; // whoever reads the file reports it
    }
    if (bytes.startsWith("GGUF")) return "GGUF (llama.cpp)";
    if (bytes.startsWith("PK\3\4")) return "a zip file, as PyTorch writes, or an archive";
    if (bytes.startsWith("\u0089HDF")) return "HDF5 (TensorFlow)";
    if (bytes.startsWith("\u0080\2") || bytes.startsWith("\u0080\4")) return "a pickle (PyTorch)";
    if (bytes.startsWith("\u001f\u008b")) return "compressed with gzip; unpack it first";
    if (bytes.startsWith("ustar", TAR_MARK)) return "a tar archive; unpack it first";
    if (bytes.stripLeading().regionMatches(true, 0, "<!doctype html", 0, 14)
        || bytes.stripLeading().regionMatches(true, 0, "<html", 0, 5)) return "a web page";
    // the length of a safetensors header is smaller than the number that eight characters make
    boolean text = bytes.length() >= 8 && bytes.chars().limit(8).allMatch(ForeignFormat::isText);
    return text ? (bytes.startsWith("{") ? "JSON" : "text") : null;
  }

  private static boolean isText(int character) {
    return (character >= ' ' && character <= '~') || Character.isWhitespace(character);
  }

  /** The exception for a file that Winnow does not read. */
  static RuntimeException refusal(Path file) {
    String format = ofName(file);
    if (format == null) format = ofContent(file);
    return format == null || NO_WEIGHTS.contains(format)
        ? new CheckpointException(file, null, "the folder of a checkpoint", describe(file))
        : new UnsupportedFormatException(
            file + ": " + format + ": not supported yet; safetensors is");
  }

  /** What a file that is not in the safetensors format is, in words. */
  static String describe(Path file) {
    String name = ofName(file);
    String format = name != null ? name : ofContent(file);
    return format == null ? "a file" : "a file: " + format;
  }
}
