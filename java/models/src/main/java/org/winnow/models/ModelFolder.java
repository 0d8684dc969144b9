package org.winnow.models;

import java.nio.file.FileSystems;
import java.nio.file.Files;
import java.nio.file.Path;
import org.winnow.CheckpointException;
import org.winnow.UnsupportedFormatException;

/**
 * Finds the checkpoint that a path means. A path is a folder, a file, a folder of a model in a
 * cache of the Hugging Face hub, or the name of a model there ({@code owner/name} or {@code
 * owner/name@revision}). A folder or file of that name is preferred to the cache.
 */
final class ModelFolder {
  private ModelFolder() {}

  /**
   * The existing folder or file that a path means.
   *
   * @throws CheckpointException if there is none, saying where was looked
   * @throws UnsupportedFormatException if the path lies in another file system, such as a zip file
   */
  static Path resolve(Path path) {
    return resolve(path, HubCache.ofEnvironment());
  }

  static Path resolve(Path path, HubCache cache) {
    if (path.getFileSystem() != FileSystems.getDefault())
      throw new UnsupportedFormatException(
          path.toUri()
              + ": lies in the file system "
              + path.getFileSystem().provider().getScheme()
              + "; weights are read from files of the default one");
    if (Files.isDirectory(path)) {
      if (HubCache.isModel(path)) return HubCache.snapshot(path, null);
      boolean snapshots = path.endsWith(HubCache.SNAPSHOTS);
      Path parent = snapshots ? path.toAbsolutePath().getParent() : null;
      return parent != null && HubCache.isModel(parent) ? HubCache.snapshot(parent, null) : path;
    }
    if (CheckpointFile.isThere(path)) {
      if (!Files.exists(path)) throw CheckpointFile.missing(path, "a checkpoint");
      return path;
    }
    HubName name = HubName.parse(path.toString());
    if (name != null) return cache.find(name);
    if (path.toString().matches("[a-z][a-z0-9+]+:/.*"))
      throw new CheckpointException(
          path, null, "a path on this machine", "an address; Winnow does not download");
    boolean file = path.toString().endsWith(".safetensors") || path.toString().endsWith(".json");
    throw CheckpointFile.missing(path, file ? "a file" : "the folder of a checkpoint");
  }

  /**
   * The folder of the checkpoint that a path means. Files that belong to a checkpoint in their
   * folder mean that folder: {@code model.safetensors}, its index and {@code config.json}.
   *
   * @throws CheckpointException if there is no checkpoint, saying what is there instead
   * @throws UnsupportedFormatException naming the format of weights that Winnow does not read
   */
  static Path folder(Path path) {
    Path found = resolve(path);
    if (Files.isDirectory(found)) {
      if (!Safetensors.isIn(found)) throw FolderContents.noCheckpoint(found);
      return found;
    }
    if (isOfWholeModel(found)) {
      Path parent = found.toAbsolutePath().getParent();
      if (parent != null) return parent;
    }
    if (found.toString().endsWith(".safetensors"))
      throw new CheckpointException(path, null, "the folder of a checkpoint", "a file");
    throw ForeignFormat.refusal(found);
  }

  /** Whether a file's name says that it belongs to the checkpoint in its folder. */
  static boolean isOfWholeModel(Path file) {
    Path name = file.getFileName();
    return name != null
        && (name.toString().equals(Safetensors.SINGLE_FILE)
            || name.toString().equals(Safetensors.INDEX_FILE)
            || name.toString().equals("config.json"));
  }
}
