package org.winnow.memory;

import java.io.IOException;
import java.nio.file.Path;
import java.util.ArrayList;
import java.util.Arrays;
import java.util.Collection;
import java.util.Collections;
import java.util.HashMap;
import java.util.LinkedHashMap;
import java.util.List;
import java.util.Map;
import java.util.Set;
import org.winnow.CheckpointException;
import org.winnow.DType;
import org.winnow.ExpertReadException;
import org.winnow.Tensor;
import org.winnow.UnsupportedFormatException;
import org.winnow.WeightLayout;

/**
 * A model's weights as a read-only map of names to byte ranges in files. Making one reads nothing
 * but the files' sizes and times; weights are read one by one, when they are asked for, with
 * explicit positional reads. A read of a file that has changed since fails. Safe for use from
 * several threads.
 */
public final class Checkpoint implements AutoCloseable {
  private final Map<String, TensorInfo> tensors = new LinkedHashMap<>();
  private final Map<Path, FileState> files = new HashMap<>(); // when this was made
  private final Map<Path, RangeReader> readers =
      new HashMap<>(); // opened at the first read of each file
  private final RangeReader.Opener opener;
  private boolean closed;

  /** Files are read past the page cache where possible. */
  public Checkpoint(Collection<TensorInfo> tensors) {
    this(tensors, RangeReader.direct());
  }

  /**
   * @param tensors any number in any number of files
   * @param opener how files are opened
   * @throws CheckpointException naming the tensor, if a name occurs twice, a size is not that of
   *     shape and type, or a range is not inside its file
   */
  public Checkpoint(Collection<TensorInfo> tensors, RangeReader.Opener opener) {
    this.opener = opener;
    for (TensorInfo tensor : tensors) {
      check(tensor, files.computeIfAbsent(tensor.file(), file -> state(file, tensor)).sizeBytes());
      TensorInfo other = this.tensors.putIfAbsent(tensor.name(), tensor);
      if (other != null)
        throw new CheckpointException(
            tensor.file(), tensor.name(), "one tensor of that name", "another in " + other.file());
    }
  }

  private static FileState state(Path file, TensorInfo tensor) {
    try {
      return FileState.of(file);
    } catch (IOException e) {
      throw new CheckpointException(file, tensor.name(), "a readable file", e.toString(), e);
    }
  }

  private static void check(TensorInfo tensor, long fileSizeBytes) {
    for (long extent : tensor.shape()) {
      if (extent < 0)
        throw new CheckpointException(
            tensor.file(), tensor.name(), "no negative extent", Arrays.toString(tensor.shape()));
    }
    if (tensor.dtype() != null) {
      long expected;
      try {
        expected = Math.multiplyExact(tensor.size(), tensor.dtype().sizeBytes());
      } catch (ArithmeticException | IllegalArgumentException e) { // too many bytes or elements
        throw new CheckpointException(
            tensor.file(), tensor.name(), "a shape of less than 2^63 bytes", tensor.toString());
      }
      if (expected != tensor.sizeBytes()) {
        throw new CheckpointException(
            tensor.file(),
            tensor.name(),
            expected + " bytes for its shape and type",
            tensor.sizeBytes() + " bytes");
      }
    }
    if (tensor.offset() < 0
        || tensor.sizeBytes() < 0
        || tensor.offset() > fileSizeBytes - tensor.sizeBytes()) {
      throw new CheckpointException(
          tensor.file(),
          tensor.name(),
          "a range inside the file's " + fileSizeBytes + " bytes",
          tensor.sizeBytes() + " bytes at offset " + tensor.offset());
    }
  }

  /** The names, in the order in which the tensors were given. */
  public Set<String> names() {
    return Collections.unmodifiableSet(tensors.keySet());
  }

  /** All tensors, in the order in which they were given. */
  public Collection<TensorInfo> tensors() {
    return Collections.unmodifiableCollection(tensors.values());
  }

  /** The tensor of that name, or null. */
  public TensorInfo find(String name) {
    return tensors.get(name);
  }

  /**
   * The tensor of that name.
   *
   * @throws CheckpointException if there is none
   */
  public TensorInfo require(String name) {
    TensorInfo tensor = tensors.get(name);
    if (tensor == null) {
      Path file = tensors.isEmpty() ? Path.of("") : tensors.values().iterator().next().file();
      throw new CheckpointException(
          file, name, "a tensor of that name", "none among " + tensors.size());
    }
    return tensor;
  }

  /**
   * Reads a whole tensor, as stored.
   *
   * @return a new tensor, the caller's to close
   * @throws CheckpointException if there is none of that name
   * @throws UnsupportedFormatException if its type is one that Winnow does not compute with
   * @throws ExpertReadException if the read fails or the file has changed since it was opened
   * @throws CheckpointException if the file has changed between the making of this checkpoint and
   *     its first read
   * @throws IllegalStateException if this checkpoint is closed
   */
  public Tensor read(String name) {
    try (TensorReads reads = readEach(List.of(name))) {
      return reads.next();
    }
  }

  /**
   * Begins to read whole tensors, as stored, several at a time. They are read fastest in the order
   * in which they lie in their files. This checkpoint must stay open until what this returns is
   * closed. Exceptions of single tensors are those of {@link #read}, thrown here or when the
   * tensor's turn comes.
   *
   * @param names each once
   * @return gives the tensors in this order
   */
  public TensorReads readEach(List<String> names) {
    return readEach(names, Collections.nCopies(names.size(), WeightLayout.ROWS));
  }

  /**
   * The same, with matrices in the layout that they are to be multiplied in: see {@link
   * WeightLayout#arrange}.
   *
   * @param layouts one for each name; panels for matrices of floating values only
   * @throws IllegalArgumentException if there are more or fewer layouts than names, or panels are
   *     asked for of what is no such matrix
   */
  public TensorReads readEach(List<String> names, List<WeightLayout> layouts) {
    if (layouts.size() != names.size())
      throw new IllegalArgumentException(
          "layouts must be as many as names, " + names.size() + ", found " + layouts.size());
    List<TensorInfo> infos = new ArrayList<>();
    for (int i = 0; i < names.size(); i++) {
      TensorInfo info = require(names.get(i));
      DType dtype = info.dtype();
      if (dtype == null)
        throw new UnsupportedFormatException(
            info.file()
                + ": "
                + info.name()
                + ": type "
                + info.storedType()
                + " is not supported yet");
      boolean isMatrix = dtype.isFloating() && info.shape().length == 2;
      if (layouts.get(i) == WeightLayout.PANELS && !isMatrix)
        throw new IllegalArgumentException(
            "layout of "
                + info
                + " must be rows, as it is no matrix of floating values, found panels");
      infos.add(info);
    }
    return new TensorReads(this, infos, layouts);
  }

  /**
   * Reads, and returns how many bytes. At least {@code neededBytes} must be there; the rest only
   * fills up to the alignment. A read that stops early is continued from the block that it stopped
   * in: only one that gives nothing new is the end of the file.
   */
  static long readFully(
      RangeReader reader,
      Path file,
      String what,
      long offsetBytes,
      long address,
      long sizeBytes,
      long neededBytes) {
    long alignment = reader.alignmentBytes();
    long found = 0;
    try {
      for (long before = -1; found < neededBytes && before < found; ) {
        before = found;
        long from = found / alignment * alignment;
        found = from + reader.read(offsetBytes + from, address + from, sizeBytes - from);
      }
    } catch (IOException e) {
      throw new ExpertReadException(file, what, offsetBytes, neededBytes, -1, e);
    }
    if (found < neededBytes)
      throw new ExpertReadException(file, what, offsetBytes, neededBytes, found, null);
    return found;
  }

  static long roundUp(long value, long multiple) {
    return (value + multiple - 1) / multiple * multiple;
  }

  /** The size that the file had when this was made. */
  long fileSizeBytes(Path file) {
    return files.get(file).sizeBytes();
  }

  /** The open reader of a file; this checkpoint closes it. */
  synchronized RangeReader reader(Path file) {
    if (closed) throw new IllegalStateException("checkpoint is closed");
    RangeReader reader = readers.get(file);
    if (reader == null) {
      try {
        reader = opener.open(file);
        requireUnchanged(file, reader);
      } catch (IOException e) {
        throw new CheckpointException(file, null, "a readable file", e.getMessage(), e);
      }
      readers.put(file, reader);
    }
    return reader;
  }

  /** Afterwards a reader notices changes itself. */
  private void requireUnchanged(Path file, RangeReader reader) throws IOException {
    FileState expected = files.get(file);
    FileState found = FileState.of(file);
    if (expected == null || expected.equals(found)) return;
    reader.close();
    throw new CheckpointException(
        file,
        null,
        "the file as it was when the checkpoint was opened, " + expected,
        found
            + (found.sizeBytes() == expected.sizeBytes()
                    && found.modified().equals(expected.modified())
                ? " in another file"
                : ""));
  }

  /** Waits for running reads, then closes the files. May be called twice. */
  @Override
  public void close() {
    Collection<RangeReader> open;
    synchronized (this) {
      closed = true;
      open = new ArrayList<>(readers.values());
      readers.clear();
    }
    open.forEach(RangeReader::close);
  }
}
