package org.winnow.models;

import java.io.IOException;
import java.io.InputStream;
import java.nio.charset.StandardCharsets;
import java.nio.file.DirectoryIteratorException;
import java.nio.file.DirectoryStream;
import java.nio.file.Files;
import java.nio.file.LinkOption;
import java.nio.file.Path;
import java.util.List;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * Checks that a file of a checkpoint is there before it is read. Downloads leave other things in
 * its place: links that lead nowhere, Git LFS pointers, parts of a file. Each is named as what it
 * is.
 */
final class CheckpointFile {
  /** The Git LFS specification requires pointers to have fewer bytes. */
  private static final int MAX_POINTER_BYTES = 1024;

  private static final Pattern POINTER =
      Pattern.compile("version https?://(?:git-lfs|hawser)\\.github\\.com/spec/.*", Pattern.DOTALL);
  private static final Pattern POINTER_SIZE = Pattern.compile("(?m)^size (\\d{1,19})$");

  /** Endings that download programs give to files that are not complete. */
  private static final List<String> PART_ENDINGS =
      List.of(".incomplete", ".part", ".partial", ".crdownload", ".aria2", ".tmp", ".download");

  private static final int MAX_LISTED = 10_000; // entries of a folder that are looked at

  private CheckpointFile() {}

  /**
   * Whether a folder has this file. A link that leads nowhere counts: the file belongs there, and
   * reading it says what is wrong.
   */
  static boolean isThere(Path file) {
    return Files.exists(file, LinkOption.NOFOLLOW_LINKS);
  }

  /**
   * The size of a regular file in bytes. Anything else is an error: reading a pipe or a device
   * could block forever.
   *
   * @throws CheckpointException saying what lies there instead of the file
   */
  static long size(Path file) {
    if (!Files.isRegularFile(file)) throw missing(file, "a file");
    try {
      long size = Files.size(file);
      if (size < MAX_POINTER_BYTES) refusePointer(file);
      return size;
    } catch (IOException e) {
      throw Json.unreadable(file, e);
    }
  }

  private static void refusePointer(Path file) throws IOException {
    String text;
    try (InputStream stream = Files.newInputStream(file)) {
      text = new String(stream.readNBytes(MAX_POINTER_BYTES), StandardCharsets.ISO_8859_1);
    }
    if (!POINTER.matcher(text).matches()) return;
    Matcher size = POINTER_SIZE.matcher(text);
    throw new CheckpointException(
        file,
        null,
        "the file itself",
        "a Git LFS pointer to a file"
            + (size.find() ? " of " + size.group(1) + " bytes" : "")
            + " that was not downloaded; git lfs pull downloads it");
  }

  /** The exception for a path where there is nothing that can be read. */
  static CheckpointException missing(Path path, String expected) {
    return new CheckpointException(path, null, expected, whatIsThere(path));
  }

  private static String whatIsThere(Path path) {
    if (Files.isSymbolicLink(path) && !Files.exists(path)) return "a link" + target(path);
    if (Files.isDirectory(path)) return "a folder";
    if (Files.exists(path)) return "something else";
    Path part = partOf(path);
    if (part != null) return "nothing there, but " + part + " of a download that did not finish";
    Path parent = path.toAbsolutePath().getParent();
    while (parent != null && !Files.exists(parent)) parent = parent.getParent();
    if (parent == null || Files.isDirectory(parent)) return "nothing there";
    return "nothing there: " + parent + " is " + ForeignFormat.describe(parent);
  }

  private static String target(Path link) {
    try {
      Path target = link.resolveSibling(Files.readSymbolicLink(link)).normalize();
      Path part = partOf(target);
      return " to "
          + target
          + ", where nothing is"
          + (part == null ? "" : "; " + part + " is of a download that did not finish");
    } catch (IOException e) {
      return " that cannot be read: " + e;
    }
  }

  /** What an unfinished download of a file has left, or null. */
  static @Nullable Path partOf(Path file) {
    for (String ending : PART_ENDINGS) {
      Path part = file.resolveSibling(file.getFileName() + ending);
      if (Files.exists(part)) return part;
    }
    Path folder = file.toAbsolutePath().getParent();
    if (folder == null) return null;
    Path local = folder.resolve(".cache/huggingface/download"); // of hf download --local-dir
    Path part = incompleteIn(local, file.getFileName() + ".");
    if (part != null) return part;
    Path snapshots = folder.getParent();
    return snapshots != null && snapshots.endsWith(HubCache.SNAPSHOTS)
        ? incompleteIn(snapshots.resolveSibling(HubCache.BLOBS), "")
        : null;
  }

  private static @Nullable Path incompleteIn(Path folder, String beginning) {
    if (!Files.isDirectory(folder)) return null;
    try (DirectoryStream<Path> entries = Files.newDirectoryStream(folder)) {
      int seen = 0;
      for (Path entry : entries) {
        String name = entry.getFileName().toString();
        if (name.startsWith(beginning) && name.endsWith(".incomplete")) return entry;
        if (++seen == MAX_LISTED) break;
      }
      return null;
    } catch (IOException | DirectoryIteratorException e) {
      return null; // only a hint is lost
    }
  }
}
