package org.winnow.models;

import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import org.winnow.CheckpointException;
import org.winnow.memory.TensorInfo;

/** The tensors that a report describes: also those of files that opening does not read. */
final class ReportedTensors {
  private ReportedTensors() {}

  /**
   * @param path an existing folder or file
   * @param remarks receives what is unusual about the files
   * @throws CheckpointException if a file is broken
   */
  static List<TensorInfo> of(Path path, List<String> remarks) {
    if (!Files.isDirectory(path)) return inFile(path);
    if (Safetensors.isIn(path)) return Safetensors.tensors(path);
    List<Path> files = FolderContents.otherSafetensors(path);
    if (files.isEmpty()) throw FolderContents.noCheckpoint(path);
    Map<String, TensorInfo> tensors = new LinkedHashMap<>();
    for (Path file : files) {
      List<TensorInfo> read = SafetensorsHeader.read(file);
      if (read.stream().anyMatch(tensor -> tensors.containsKey(tensor.name()))) {
        remarks.add(file.getFileName() + " repeats names of tensors, so it is not counted");
        continue;
      }
      remarks.add("weights are in " + file.getFileName());
      for (TensorInfo tensor : read) tensors.put(tensor.name(), tensor);
    }
    return new ArrayList<>(tensors.values());
  }

  private static List<TensorInfo> inFile(Path file) {
    boolean safetensors =
        file.toString().endsWith(".safetensors") || file.toString().endsWith(".index.json");
    boolean foreign =
        ForeignFormat.ofName(file) != null
            || (Files.isRegularFile(file) && ForeignFormat.ofContent(file) != null);
    if (!safetensors && foreign) throw ForeignFormat.refusal(file);
    return Safetensors.tensors(file);
  }
}
