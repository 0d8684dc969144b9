package org.winnow.models;

import java.io.IOException;
import java.io.UncheckedIOException;
import java.nio.file.Files;
import java.nio.file.InvalidPathException;
import java.nio.file.Path;
import java.util.List;
import java.util.Objects;
import java.util.function.Function;
import java.util.regex.Matcher;
import java.util.regex.Pattern;
import java.util.stream.Collectors;
import java.util.stream.Stream;
import org.jspecify.annotations.Nullable;
import org.winnow.CheckpointException;

/**
 * The folder in which Hugging Face tools keep what they downloaded. A model lies in {@code
 * models--owner--name}: {@code blobs} has the files, {@code snapshots/COMMIT} has links to them,
 * and {@code refs/main} names the commit of a branch.
 *
 * <p>Source: {@code huggingface_hub}'s guide "Understand caching" and its {@code constants.py}.
 *
 * @param folder the cache; it may be missing
 * @param source what says so: a variable of the environment, or {@code "default"}
 */
record HubCache(Path folder, String source) {
  static final String SNAPSHOTS = "snapshots";
  static final String BLOBS = "blobs";
  private static final String REFS = "refs";
  private static final int MAX_REF_BYTES = 256;
  private static final int MAX_LISTED = 8; // names in a message
  private static final Pattern VARIABLE = Pattern.compile("\\$(?:(\\w+)|\\{(\\w+)\\})");

  static HubCache ofEnvironment() {
    return of(System::getenv, System.getProperty("user.home"));
  }

  /**
   * @param environment the value of a variable, or null
   * @param home the user's home folder
   */
  static HubCache of(Function<String, @Nullable String> environment, String home) {
    for (String variable : List.of("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE")) {
      String value = environment.apply(variable);
      if (value != null && !value.isEmpty())
        return new HubCache(expanded(value, environment, home), variable);
    }
    String huggingFace = environment.apply("HF_HOME");
    if (huggingFace != null && !huggingFace.isEmpty())
      return new HubCache(expanded(huggingFace, environment, home).resolve("hub"), "HF_HOME");
    String cache = environment.apply("XDG_CACHE_HOME");
    if (cache != null && !cache.isEmpty())
      return new HubCache(
          expanded(cache, environment, home).resolve("huggingface/hub"), "XDG_CACHE_HOME");
    return new HubCache(Path.of(home, ".cache/huggingface/hub"), "default");
  }

  /** Replaces a leading tilde and variables, as the hub's library does. */
  private static Path expanded(
      String value, Function<String, @Nullable String> environment, String home) {
    String path = value.equals("~") || value.startsWith("~/") ? home + value.substring(1) : value;
    return Path.of(
        VARIABLE
            .matcher(path)
            .replaceAll(
                match -> {
                  String name = match.group(1) != null ? match.group(1) : match.group(2);
                  String found = environment.apply(name);
                  return Matcher.quoteReplacement(found == null ? match.group() : found);
                }));
  }

  /** Whether a folder is one of a model in a cache, or its folder of snapshots. */
  static boolean isModel(Path folder) {
    return Files.isDirectory(folder.resolve(SNAPSHOTS))
        && (Files.isDirectory(folder.resolve(REFS)) || Files.isDirectory(folder.resolve(BLOBS)))
        && !CheckpointFile.isThere(folder.resolve("config.json"));
  }

  /**
   * The snapshot of a model in this cache.
   *
   * @throws CheckpointException saying where was looked
   */
  Path find(HubName name) {
    Path model = folder.resolve(name.folderName());
    if (Files.isDirectory(model)) return snapshot(model, name.revision());
    String given = name.address() == null ? name.toString() : name.address();
    throw new CheckpointException(
        Path.of(given),
        null,
        "a folder of this name, or this model in the cache of Hugging Face",
        "neither: "
            + (Files.isDirectory(folder) ? "no " + name.folderName() + " in " : "there is no ")
            + folder
            + " ("
            + source
            + "); Winnow does not download");
  }

  /**
   * The snapshot of a model.
   *
   * @param model folder of a model in a cache
   * @param revision a branch, tag, commit or beginning of a commit; null for {@code main}, or the
   *     only snapshot if there is no {@code main}
   */
  static Path snapshot(Path model, @Nullable String revision) {
    Path ref = model.resolve(REFS).resolve(revision == null ? "main" : revision).normalize();
    if (ref.startsWith(model.resolve(REFS).normalize()) && Files.isRegularFile(ref))
      return named(model, ref);
    List<String> names = snapshots(model);
    List<String> matching =
        revision == null
            ? names
            : names.stream().filter(name -> name.startsWith(revision)).collect(Collectors.toList());
    if (matching.size() == 1) return model.resolve(SNAPSHOTS).resolve(matching.get(0));
    throw new CheckpointException(
        model,
        null,
        revision == null
            ? "refs/main, or one snapshot"
            : "a ref or one snapshot " + Json.quote(revision),
        names.isEmpty() ? "no snapshot" : "the snapshots " + listed(names));
  }

  private static Path named(Path model, Path ref) {
    String commit;
    try {
      long size = CheckpointFile.size(ref);
      commit = size > MAX_REF_BYTES ? "" : Files.readString(ref).strip();
    } catch (IOException e) {
      throw Json.unreadable(ref, e);
    }
    try {
      Path snapshot = model.resolve(SNAPSHOTS).resolve(commit);
      boolean plain =
          !commit.isEmpty() && !commit.startsWith(".") && Path.of(commit).getNameCount() == 1;
      if (plain && Files.isDirectory(snapshot)) return snapshot;
    } catch (InvalidPathException e) {
      // not a name: as if there were no such folder
    }
    throw new CheckpointException(
        ref,
        null,
        "the name of one of the snapshots " + listed(snapshots(model)),
        Json.quote("\"" + commit + "\""));
  }

  private static List<String> snapshots(Path model) {
    Path folder = model.resolve(SNAPSHOTS);
    if (!Files.isDirectory(folder)) return List.of();
    try (Stream<Path> entries = Files.list(folder)) {
      return entries
          .filter(Files::isDirectory)
          .map(entry -> entry.getFileName().toString())
          .sorted()
          .collect(Collectors.toList());
    } catch (IOException e) {
      throw Json.unreadable(folder, e);
    } catch (UncheckedIOException e) {
      throw Json.unreadable(folder, Objects.requireNonNull(e.getCause()));
    }
  }

  /** Names for a message, at most {@link #MAX_LISTED}. */
  static String listed(List<String> names) {
    if (names.isEmpty()) return "(none)";
    return String.join(", ", names.subList(0, Math.min(names.size(), MAX_LISTED)))
        + (names.size() > MAX_LISTED ? " (" + (names.size() - MAX_LISTED) + " more)" : "");
  }
}
