package org.winnow.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.List;
import java.util.Locale;
import java.util.Map;
import java.util.Objects;
import java.util.TreeMap;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/** What a folder holds instead of a checkpoint that can be opened, in words. */
final class FolderContents {
  private static final int MAX_ENTRIES = 10_000; // looked at in a folder
  private static final int MAX_FOLDERS = 200; // looked into

  private final Path folder;
  private final List<Path> files = new ArrayList<>();
  private final List<Path> folders = new ArrayList<>();

  private FolderContents(Path folder) {
    this.folder = folder;
    try (Stream<Path> entries = Files.list(folder)) {
      entries
          .limit(MAX_ENTRIES)
          .sorted()
          .forEach(entry -> (Files.isDirectory(entry) ? folders : files).add(entry));
    } catch (IOException e) {
      throw Json.unreadable(folder, e);
    } catch (UncheckedIOException e) {
      throw Json.unreadable(folder, Objects.requireNonNull(e.getCause()));
    }
  }

  /** The safetensors files of a folder that are not those of a whole model, sorted by name. */
  static List<Path> otherSafetensors(Path folder) {
    return new FolderContents(folder).ending(".safetensors");
  }

  /** The exception for a folder without weights that can be opened. */
  static RuntimeException noCheckpoint(Path folder) {
    FolderContents contents = new FolderContents(folder);
    Map<String, List<Path>> foreign = contents.foreign();
    List<String> found = new ArrayList<>();
    foreign.forEach((format, files) -> found.add(format + " (" + names(files) + ")"));
    contents.addOthers(found);
    if (!foreign.isEmpty())
      return new UnsupportedFormatException(
          folder
              + ": not supported yet: "
              + String.join("; ", found)
              + "; Winnow reads "
              + Safetensors.SINGLE_FILE
              + " or "
              + Safetensors.INDEX_FILE);
    return new CheckpointException(
        folder,
        null,
        Safetensors.SINGLE_FILE + " or " + Safetensors.INDEX_FILE + " in this folder",
        found.isEmpty() ? "neither" : "neither, but " + String.join("; ", found));
  }

  /** The name of another file in the folder that differs only in case and punctuation, or null. */
  static @Nullable String similarName(Path file) {
    Path parent = file.toAbsolutePath().getParent();
    if (parent == null) return null;
    String wanted = plain(file);
    for (Path other : new FolderContents(parent).files) {
      if (plain(other).equals(wanted)) return other.getFileName().toString();
    }
    return null;
  }

  private static String plain(Path file) {
    return file.getFileName().toString().toLowerCase(Locale.ROOT).replaceAll("[^a-z0-9]", "");
  }

  private Map<String, List<Path>> foreign() {
    Map<String, List<Path>> formats = new TreeMap<>();
    for (Path file : files) {
      String format = ForeignFormat.ofName(file);
      boolean settings = file.endsWith("training_args.bin"); // not weights
      if (format != null && !settings)
        formats.computeIfAbsent(format, unused -> new ArrayList<>()).add(file);
    }
    return formats;
  }

  private void addOthers(List<String> found) {
    List<Path> safetensors = ending(".safetensors");
    if (CheckpointFile.isThere(folder.resolve("adapter_config.json")))
      found.add("an adapter (adapter_config.json), which changes another model");
    if (CheckpointFile.isThere(folder.resolve("model_index.json")))
      found.add("a pipeline of diffusers (model_index.json)");
    if (!safetensors.isEmpty())
      found.add("safetensors files of other names (" + names(safetensors) + ")");
    List<Path> inside =
        folders.stream()
            .limit(MAX_FOLDERS)
            .filter(FolderContents::isCheckpoint)
            .collect(Collectors.toList());
    if (!inside.isEmpty()) found.add("checkpoints in folders of it (" + names(inside) + ")");
    boolean unfinished = CheckpointFile.partOf(folder.resolve(Safetensors.SINGLE_FILE)) != null;
    if (unfinished) found.add("a download that did not finish");
  }

  private static boolean isCheckpoint(Path folder) {
    return HubCache.isModel(folder)
        || Safetensors.isIn(folder)
        || CheckpointFile.isThere(folder.resolve("diffusion_pytorch_model.safetensors"));
  }

  private List<Path> ending(String ending) {
    return files.stream()
        .filter(file -> file.toString().endsWith(ending))
        .collect(Collectors.toList());
  }

  private static String names(List<Path> paths) {
    return HubCache.listed(
        paths.stream().map(path -> path.getFileName().toString()).collect(Collectors.toList()));
  }
}
