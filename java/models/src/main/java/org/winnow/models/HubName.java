package org.winnow.models;

import java.util.regex.Matcher;
import java.util.regex.Pattern;
import org.jspecify.annotations.Nullable;

/**
 * The name of a model on the Hugging Face hub.
 *
 * @param repository such as {@code "Qwen/Qwen3-30B-A3B"}; a few old ones have no owner
 * @param revision a branch, tag or commit, or null for the default one
 * @param address the address that contained the name, or null if the name itself was given
 */
record HubName(String repository, @Nullable String revision, @Nullable String address) {
  private static final String PART = "[A-Za-z0-9][A-Za-z0-9._-]{0,95}";
  private static final Pattern NAME =
      Pattern.compile("(" + PART + "(?:/" + PART + ")?)(?:@([A-Za-z0-9][\\w./+-]{0,255}))?");
  private static final Pattern ADDRESS =
      Pattern.compile("(?:https?:/+)?(?:www\\.)?(?:huggingface\\.co|hf\\.co)/+(.*)|hf:/*(.*)");
  private static final Pattern PAGE =
      Pattern.compile("(.*?)/(?:tree|blob|resolve)/([^/]+)(?:/.*)?");

  /** The name that a path spells, or null if it is none. An address of the hub contains a name. */
  static @Nullable HubName parse(String path) {
    Matcher address = ADDRESS.matcher(path);
    if (!address.matches()) return named(path, null, null);
    String rest = address.group(1) != null ? address.group(1) : address.group(2);
    Matcher page = PAGE.matcher(rest);
    return page.matches() ? named(page.group(1), page.group(2), path) : named(rest, null, path);
  }

  private static @Nullable HubName named(
      String text, @Nullable String revision, @Nullable String address) {
    Matcher name = NAME.matcher(text);
    if (!name.matches() || text.contains("..") || name.group(1).contains("--")) return null;
    return new HubName(name.group(1), revision != null ? revision : name.group(2), address);
  }

  /** The folder that a cache of the hub keeps this model in. */
  String folderName() {
    return "models--" + repository.replace("/", "--");
  }

  @Override
  public String toString() {
    return repository + (revision == null ? "" : "@" + revision);
  }
}
